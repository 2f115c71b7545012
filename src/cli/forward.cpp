#include "tasks/forward.h"

#include "base/file.h"
#include "cli/arguments.h"
#include "cli/cli.h"

namespace nuri::cli {

void add_forward(CLI::App& app) {
  auto request = std::make_shared<ForwardRequest>();
  CLI::App* verb = add_verb(app, "forward", "Run a model on tensors named as the Hugging Face forward arguments",
                            "nuri forward emoji-world inputs.safetensors -o outputs.safetensors --generate 8");
  add_model_flags(verb, request->model);
  add_cache_flag(verb, request->model);
  verb->add_option("IN", request->input, "Input tensors (safetensors)")->required();
  verb->add_option("-o,--output", request->output, "Where the outputs go (safetensors)")->required();
  verb->add_option("--generate", request->generate, "Also so many greedy tokens a row, as `sequences`")
      ->check(at_least(1));
  verb->callback([request] {
    expect_writable(request->output);
    forward(*request);
  });
}

}  // namespace nuri::cli
