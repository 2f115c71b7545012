#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace nuri {

AdamW::AdamW(std::vector<NamedTensor> parameters, const AdamWOptions& options)
    : options_(options), parameters_(std::move(parameters)) {
  for (const auto& [name, tensor] : parameters_) {
    first_.push_back(at::zeros_like(tensor));
    second_.push_back(at::zeros_like(tensor));
    steps_.push_back(at::zeros({}, at::kFloat));
  }
}

void AdamW::step(double learning_rate) {
  // The fused kernel takes one weight decay, so matrices and vectors go in two calls.
  for (bool matrices : {true, false}) {
    std::vector<at::Tensor> values, gradients, first, second, steps;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const at::Tensor& parameter = parameters_[i].tensor;
      if (!parameter.grad().defined() || (parameter.dim() >= 2) != matrices) continue;
      values.push_back(parameter.detach());
      gradients.push_back(parameter.grad());
      first.push_back(first_[i]);
      second.push_back(second_[i]);
      steps.push_back(steps_[i].add_(1));
    }
    if (values.empty()) continue;
    at::_fused_adamw_(values, gradients, first, second, {}, steps, learning_rate, options_.beta1, options_.beta2,
                      matrices ? options_.weight_decay : 0.0, options_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
}

void AdamW::zero_gradients() {
  for (auto& [name, tensor] : parameters_) tensor.mutable_grad().reset();
}

double AdamW::clip_gradients(double limit) {
  std::vector<at::Tensor> norms;
  for (const auto& [name, tensor] : parameters_)
    if (tensor.grad().defined()) norms.push_back(tensor.grad().norm());
  if (norms.empty()) return 0;
  double norm = at::stack(norms).norm().item<double>();
  if (limit > 0 && norm > limit)
    for (const auto& [name, tensor] : parameters_)
      if (tensor.grad().defined()) tensor.grad().mul_(limit / norm);
  return norm;
}

std::vector<NamedTensor> AdamW::state() const {
  std::vector<NamedTensor> state;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state.push_back({parameters_[i].name + ".first", first_[i]});
    state.push_back({parameters_[i].name + ".second", second_[i]});
    state.push_back({parameters_[i].name + ".step", steps_[i]});
  }
  return state;
}

void AdamW::load_state(const std::map<std::string, at::Tensor>& state, const std::string& file) {
  auto load = [&](at::Tensor& into, const std::string& name) {
    auto found = state.find(name);
    if (found == state.end() || found->second.sizes() != into.sizes())
      throw Error(ErrorKind::format, fmt::format("{}: tensor {} is {}, expected the optimiser's state of this recipe",
                                                 file, name, found == state.end() ? "not found" : "of another shape"));
    into.copy_(found->second);
  };
  for (size_t i = 0; i < parameters_.size(); ++i) {
    load(first_[i], parameters_[i].name + ".first");
    load(second_[i], parameters_[i].name + ".second");
    load(steps_[i], parameters_[i].name + ".step");
  }
}

double cosine_rate(int64_t step, int64_t warmup, int64_t total, double peak, double floor) {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  double progress = static_cast<double>(step - warmup) / static_cast<double>(std::max<int64_t>(total - warmup, 1));
  return floor + (peak - floor) * 0.5 * (1 + std::cos(std::numbers::pi * std::min(progress, 1.0)));
}

}  // namespace nuri
