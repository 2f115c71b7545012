#include "tasks/routing.h"

#include <ATen/ATen.h>

#include <map>

namespace nuri {
namespace {

template <class T>
Json rows_of(const at::Tensor& table) {  // [N, k]
  at::Tensor rows = table.contiguous();
  const T* values = rows.const_data_ptr<T>();
  Json list = Json::array();
  for (int64_t row = 0; row < rows.size(0); ++row, values += rows.size(1))
    list.push_back(std::vector<T>(values, values + rows.size(1)));
  return list;
}

Json load_of(const at::Tensor& experts) {
  at::Tensor counts = at::bincount(experts.flatten());
  Json load = Json::object();
  for (int64_t expert = 0; expert < counts.size(0); ++expert) {
    auto count = counts[expert].item<int64_t>();
    if (count > 0) load[std::to_string(expert)] = static_cast<double>(count) / static_cast<double>(experts.numel());
  }
  return load;
}

}  // namespace

Json routing_json(const Tap& tap, std::span<const int64_t> ids, const Tokenizer& tokenizer) {
  struct Pieces {
    std::vector<at::Tensor> experts, weights;
  };
  std::map<int64_t, Pieces> layers;
  for (const auto& [layer, routing] : tap.routing) {
    layers[layer].experts.push_back(routing.experts.cpu());
    layers[layer].weights.push_back(routing.weights.to(at::kCPU, at::kFloat));
  }
  Json told = {{"tokens", Json::array()}, {"layers", Json::array()}};
  for (int64_t id : ids) told["tokens"].push_back(tokenizer.decode(std::vector{static_cast<int32_t>(id)}));
  for (const auto& [layer, pieces] : layers) {
    at::Tensor experts = at::cat(pieces.experts);
    told["layers"].push_back({{"layer", layer},
                              {"experts", rows_of<int64_t>(experts)},
                              {"weights", rows_of<float>(at::cat(pieces.weights))},
                              {"load", load_of(experts)}});
  }
  return told;
}

}  // namespace nuri
