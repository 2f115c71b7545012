#include "tasks/eval.h"

#include "cli/arguments.h"
#include "cli/cli.h"

namespace nuri::cli {

void add_eval(CLI::App& app) {
  struct Flags {
    EvalRequest request;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "eval", "Measure a model on held-out data, as a recipe says",
                            "nuri eval recipes/emoji_world/recipe.toml --model emoji-world");
  verb->add_option("RECIPE", flags->request.recipe, "A TOML file")->required();
  verb->add_option("--model", flags->request.model.model, "Another model than the one the recipe trains");
  verb->add_option("--save", flags->request.save,
                   "Folder for the scenes (PNG) and answers.jsonl: what was asked, expected and said");
  verb->add_option("--dtype", flags->request.model.dtype,
                   "float32, bfloat16 or float16; as in the file when not given");
  verb->add_option("--threads", flags->request.model.threads, "Threads; all cores when not given")->check(at_least(1));
  verb->add_flag("--json", flags->json, "One JSON object in place of the table");
  verb->callback([flags] {
    Json result = parse_json(evaluate(flags->request), "evaluation");
    if (flags->json) return print_json(result);
    print(result.at("table").get<std::string>());
  });
}

}  // namespace nuri::cli
