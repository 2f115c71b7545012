#include "tasks/train.h"

#include "cli/arguments.h"
#include "cli/cli.h"

namespace nuri::cli {

void add_train(CLI::App& app) {
  auto request = std::make_shared<TrainRequest>();
  CLI::App* verb = add_verb(app, "train", "Train what a recipe says, or go on where an earlier run stopped",
                            "nuri train recipes/emoji_world/recipe.toml");
  verb->add_option("RECIPE", request->recipe, "A TOML file")->required();
  verb->add_option("--threads", request->threads, "Threads; all cores when not given")->check(at_least(1));
  verb->callback([request] { train(*request); });
}

}  // namespace nuri::cli
