#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace nuri {

namespace {

// Muon's update has entries of about 1 / sqrt(the longer side); AdamW's are about this large.
constexpr double kUpdateSize = 0.2;

}  // namespace

Optimizer::Optimizer(std::vector<NamedTensor> parameters, const OptimizerOptions& options)
    : options_(options), parameters_(std::move(parameters)) {
  for (const auto& [name, tensor] : parameters_) {
    bool muon = tensor.dim() == 2 && std::any_of(options_.muon.begin(), options_.muon.end(),
                                                 [&](const auto& pattern) { return fits_pattern(name, pattern); });
    Moments moments{at::zeros_like(tensor), {}, {}};
    if (!muon) moments.second = at::zeros_like(tensor), moments.step = at::zeros({}, at::kFloat);
    moments_.push_back(moments);
  }
}

void Optimizer::step(double learning_rate) {
  // The fused kernel takes one weight decay, so matrices and vectors go in two calls.
  step_adamw(learning_rate * options_.adamw_share, true);
  step_adamw(learning_rate * options_.adamw_share, false);
  step_muon(learning_rate);
}

void Optimizer::step_adamw(double learning_rate, bool matrices) {
  std::vector<at::Tensor> values, gradients, first, second, steps;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& parameter = parameters_[i].tensor;
    if (!parameter.grad().defined() || moments_[i].muon() || (parameter.dim() >= 2) != matrices) continue;
    values.push_back(parameter.detach());
    gradients.push_back(parameter.grad());
    first.push_back(moments_[i].first);
    second.push_back(moments_[i].second);
    steps.push_back(moments_[i].step.add_(1));
  }
  if (values.empty()) return;
  at::_fused_adamw_(values, gradients, first, second, {}, steps, learning_rate, options_.beta1, options_.beta2,
                    matrices ? options_.weight_decay : 0.0, options_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
}

void Optimizer::step_muon(double learning_rate) {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor value = parameters_[i].tensor.detach(), gradient = parameters_[i].tensor.grad();
    if (!gradient.defined() || !moments_[i].muon()) continue;
    at::Tensor& momentum = moments_[i].first;
    momentum.mul_(options_.momentum).add_(gradient);
    at::Tensor update = orthogonalized(gradient.add(momentum, options_.momentum));  // Nesterov's look ahead
    double longer_side = static_cast<double>(std::max(value.size(0), value.size(1)));
    value.mul_(1 - learning_rate * options_.weight_decay);
    value.sub_(update, learning_rate * kUpdateSize * std::sqrt(longer_side));
  }
}

void Optimizer::zero_gradients() {
  for (auto& [name, tensor] : parameters_) tensor.mutable_grad().reset();
}

double Optimizer::clip_gradients(double limit) {
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

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> state;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state.push_back({parameters_[i].name + ".first", moments_[i].first});
    if (moments_[i].muon()) continue;
    state.push_back({parameters_[i].name + ".second", moments_[i].second});
    state.push_back({parameters_[i].name + ".step", moments_[i].step});
  }
  return state;
}

void Optimizer::load_state(const std::map<std::string, at::Tensor>& state, const std::string& file) {
  for (auto& [name, tensor] : this->state()) {
    auto found = state.find(name);
    if (found == state.end() || found->second.sizes() != tensor.sizes())
      throw Error(ErrorKind::format, fmt::format("{}: tensor {} is {}, expected the optimiser's state of this recipe",
                                                 file, name, found == state.end() ? "not found" : "of another shape"));
    tensor.copy_(found->second);
  }
}

at::Tensor orthogonalized(const at::Tensor& matrix) {
  bool tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = tall ? matrix.t() : matrix;
  x = x / (x.norm() + 1e-7);
  for (int i = 0; i < 5; ++i) {
    at::Tensor square = x.mm(x.t());
    x = at::addmm(x, at::addmm(square, square, square, -4.7750, 2.0315), x, 3.4445);
  }
  return tall ? x.t() : x;
}

double cosine_rate(int64_t step, int64_t warmup, int64_t total, double peak, double floor) {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  double progress = static_cast<double>(step - warmup) / static_cast<double>(std::max<int64_t>(total - warmup, 1));
  return floor + (peak - floor) * 0.5 * (1 + std::cos(std::numbers::pi * std::min(progress, 1.0)));
}

bool fits_pattern(std::string_view name, std::string_view pattern) {
  size_t at = 0, in_pattern = 0, after_star = std::string_view::npos, resume = 0;
  while (at < name.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      after_star = ++in_pattern;
      resume = at;
    } else if (in_pattern < pattern.size() && pattern[in_pattern] == name[at]) {
      ++in_pattern, ++at;
    } else if (after_star != std::string_view::npos) {  // the last star takes one more character
      in_pattern = after_star;
      at = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

}  // namespace nuri
