#include "tasks/forward.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "generate/engine.h"
#include "models/parts/inputs.h"
#include "tasks/model_folder.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 31;

// Rows of the batch without their padding, as requests that decode `count` tokens each.
std::vector<Request> requests_of(CausalLM& model, const NamedTensors& inputs, int64_t count) {
  NamedTensors prompts = inputs;
  for (const char* name : {"position_ids", "logits_to_keep", "labels", "decoder_input_ids", "decoder_attention_mask"})
    prompts.erase(name);
  std::vector<Request> requests;
  for (DecoderInput& input : model.embed(prompts)) {
    Request request;
    request.input = std::move(input);
    request.sampling.greedy = true;
    request.sampling.max_tokens = count;
    requests.push_back(std::move(request));
  }
  return requests;
}

// [rows, T + count]: the ids that the decoder read and what follows.
at::Tensor generate(CausalLM& model, const NamedTensors& inputs, int64_t count, nn::CacheType cache) {
  if (count > kMostTokens)
    throw Error(ErrorKind::usage, fmt::format("--generate: found {}, expected at most {}", count, kMostTokens));
  at::Tensor ids = whole_input(inputs, "input_ids", 2);
  std::vector<Request> requests = requests_of(model, inputs, count);
  int64_t longest = ids.size(1);
  for (const auto& request : requests) longest = std::max(longest, request.input.embeddings.size(0));
  EngineOptions options;
  options.context = longest + count;
  options.cache = cache;
  options.known_bytes = 0;
  options.cache_positions = ids.size(0) * (options.context + nn::KvCache::kBlock);
  Engine engine(model, options);
  std::vector<Engine::Handle> handles;
  std::vector<at::Tensor> rows = ids.unbind();
  for (auto& request : requests) {
    at::Tensor& read = rows[handles.size()];
    if (request.input.ids.defined()) read = request.input.ids.cpu();
    handles.push_back(engine.submit(std::move(request)));
  }
  engine.run_until_done();
  for (size_t row = 0; row < rows.size(); ++row)
    rows[row] = at::cat({rows[row], at::tensor(engine.generation(handles[row]).ids, at::kLong)});
  return at::stack(rows);
}

}  // namespace

void forward(const ForwardRequest& request) {
  nn::CacheType cache = cache_type(request.model);
  OpenedModel opened = open_model(request.model);
  NamedTensors inputs = read_tensors(request.input);
  at::NoGradGuard no_grad;
  std::vector<NamedTensor> outputs;
  for (const auto& [name, tensor] : opened.model->forward(inputs)) outputs.push_back({name, tensor});
  if (request.generate) {
    auto* model = dynamic_cast<CausalLM*>(opened.model.get());
    if (model == nullptr) throw Error(ErrorKind::usage, "--generate: this model does not continue a text");
    outputs.push_back({"sequences", generate(*model, inputs, *request.generate, cache)});
  }
  write_tensors(request.output, outputs);
}

}  // namespace nuri
