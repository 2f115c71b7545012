#include "tasks/preprocess.h"

#include "base/file.h"
#include "cli/arguments.h"
#include "cli/cli.h"

namespace nuri::cli {

void add_preprocess(CLI::App& app) {
  auto request = std::make_shared<PreprocessRequest>();
  CLI::App* verb =
      add_verb(app, "preprocess", "What a model's processor makes of text and pictures; needs no weights",
               "nuri preprocess emoji-world --text \"<image>What is here?\" -i docs/scene.png -o inputs.safetensors");
  verb->add_option("MODEL", request->model, "A model folder, or the name of a bundled model")->required();
  verb->add_option("--text", request->text, "Text, with a placeholder for each picture");
  auto settle = add_pictures(verb, request->pictures, {&request->model}, "A picture");
  verb->add_option("-o,--output", request->output, "Where the tensors go (safetensors)")->required();
  add_max_pixels(verb, request->limits);
  verb->callback([request, settle] {
    settle();
    expect_writable(request->output);
    preprocess(*request);
  });
}

}  // namespace nuri::cli
