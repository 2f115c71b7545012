#include "ops/ops.h"

#include <ATen/ATen.h>

namespace nuri::ops {

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon) {
  const auto beside = [&](const at::Tensor& tensor) {  // libtorch takes one type alone
    return tensor.defined() && x.scalar_type() == at::kFloat ? tensor.to(at::kFloat) : tensor;
  };
  return at::layer_norm(x, {x.size(-1)}, beside(weight), beside(bias), epsilon);
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
