#include "ops/ops.h"

#include <ATen/ATen.h>

namespace nuri::ops {

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon) {
  return at::layer_norm(x, {x.size(-1)}, weight, bias, epsilon);
}

at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask,
                     bool causal, double scale) {
  int64_t groups = query.size(1) / key.size(1);
  bool graph = at::GradMode::is_enabled() && (query.requires_grad() || key.requires_grad() || value.requires_grad());
  // libtorch's fused attention shares keys among heads, but has no gradient for it.
  bool repeat = groups > 1 && graph;
  at::Tensor k = repeat ? key.repeat_interleave(groups, 1) : key;
  at::Tensor v = repeat ? value.repeat_interleave(groups, 1) : value;
  std::optional<at::Tensor> allowed;
  if (mask.defined()) allowed = mask;
  return at::scaled_dot_product_attention(query, k, v, allowed, 0.0, causal && !mask.defined(), scale,
                                          /*enable_gqa=*/groups > 1 && !repeat);
}

double lowest(at::ScalarType type) {
  return type == at::kHalf ? -6e4 : -3e38;  // with room for what else is added
}

std::optional<Activation> activation_from_name(std::string_view name) {
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast") return Activation::gelu_tanh;
  if (name == "quick_gelu") return Activation::quick_gelu;
  if (name == "relu") return Activation::relu;
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "tanh") return Activation::tanh;
  return {};
}

}  // namespace nuri::ops
