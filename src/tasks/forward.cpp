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
  at::Tensor ids = whole_input(inputs, "input_ids", 2);
  NamedTensors media = inputs;
  for (const char* name : {"input_ids", "attention_mask", "position_ids", "logits_to_keep", "labels"})
    media.erase(name);
  // Pictures belong to the rows in the order of their tokens, so the whole batch is embedded at once.
  at::Tensor embeddings = model.embed(ids.reshape({-1}).to(model.device()), media).view({ids.size(0), ids.size(1), -1});
  at::Tensor real = inputs.contains("attention_mask") ? required_input(inputs, "attention_mask", 2).to(at::kBool)
                                                      : at::ones_like(ids, at::kBool);
  std::vector<Request> requests;
  for (int64_t row = 0; row < ids.size(0); ++row) {
    at::Tensor chosen = real[row].nonzero().squeeze(1);
    at::Tensor row_ids = ids[row].index_select(0, chosen).contiguous();
    Request request;
    request.ids.assign(row_ids.data_ptr<int64_t>(), row_ids.data_ptr<int64_t>() + row_ids.numel());
    request.embeddings = embeddings[row].index_select(0, chosen.to(model.device()));
    request.sampling.greedy = true;
    request.sampling.max_tokens = count;
    requests.push_back(std::move(request));
  }
  return requests;
}

// [rows, T + count]: the ids as given and what follows.
at::Tensor generate(CausalLM& model, const NamedTensors& inputs, int64_t count) {
  if (count > kMostTokens)
    throw Error(ErrorKind::usage, fmt::format("--generate: found {}, expected at most {}", count, kMostTokens));
  at::Tensor ids = whole_input(inputs, "input_ids", 2);
  EngineOptions options;
  options.context = ids.size(1) + count;
  options.cache_positions = ids.size(0) * (options.context + nn::KvCache::kBlock);
  Engine engine(model, options);
  std::vector<Engine::Handle> handles;
  for (auto& request : requests_of(model, inputs, count)) handles.push_back(engine.submit(std::move(request)));
  engine.run_until_done();
  std::vector<at::Tensor> rows;
  for (auto handle : handles) rows.push_back(at::tensor(engine.generation(handle).ids, at::kLong));
  return at::cat({ids, at::stack(rows)}, 1);
}

}  // namespace

void forward(const ForwardRequest& request) {
  OpenedModel opened = open_model(request.model);
  NamedTensors inputs = read_tensors(request.input);
  at::NoGradGuard no_grad;
  std::vector<NamedTensor> outputs;
  for (const auto& [name, tensor] : opened.model->forward(inputs)) outputs.push_back({name, tensor});
  if (request.generate) {
    auto* model = dynamic_cast<CausalLM*>(opened.model.get());
    if (model == nullptr) throw Error(ErrorKind::usage, "--generate: this model does not continue a text");
    outputs.push_back({"sequences", generate(*model, inputs, *request.generate)});
  }
  write_tensors(request.output, outputs);
}

}  // namespace nuri
