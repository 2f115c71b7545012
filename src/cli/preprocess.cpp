#include "tasks/preprocess.h"

#include "cli/cli.h"

namespace nuri::cli {

void add_preprocess(CLI::App& app) {
  auto request = std::make_shared<PreprocessRequest>();
  CLI::App* verb = add_verb(app, "preprocess", "What a model's processor makes of text and pictures; needs no weights",
                            "nuri preprocess emoji-world -i docs/scene.png -o inputs.safetensors");
  verb->add_option("MODEL", request->model, "A model folder, or the name of a bundled model")->required();
  verb->add_option("--text", request->text, "Text, with a placeholder for each picture");
  verb->add_option("-i,--image", request->pictures, "A picture; may be given several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("-o,--output", request->output, "Where the tensors go (safetensors)")->required();
  add_max_pixels(verb, request->limits);
  verb->callback([request] { preprocess(*request); });
}

}  // namespace nuri::cli
