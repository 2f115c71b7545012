#include "ops/ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "base/parallel.h"

namespace nuri::ops {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  at::Tensor wide = x.to(at::kFloat);
  at::Tensor scaled = wide * at::rsqrt(wide.square().mean(-1, true) + epsilon);
  return weight * scaled.to(x.scalar_type());
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon) {
  return at::layer_norm(x, {x.size(-1)}, weight, bias, epsilon);
}

at::Tensor rotate_half(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  auto halves = x.chunk(2, -1);
  at::Tensor c = cosine.unsqueeze(1).to(x.scalar_type()), s = sine.unsqueeze(1).to(x.scalar_type());
  return at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, -1);
}

at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask,
                     bool causal, double scale) {
  int64_t groups = query.size(1) / key.size(1);
  at::Tensor k = groups == 1 ? key : key.repeat_interleave(groups, 1);
  at::Tensor v = groups == 1 ? value : value.repeat_interleave(groups, 1);
  std::optional<at::Tensor> allowed;
  if (mask.defined()) allowed = mask;
  return at::scaled_dot_product_attention(query, k, v, allowed, 0.0, causal && !mask.defined(), scale);
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

at::Tensor activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::quick_gelu:
      return x * at::sigmoid(1.702 * x);
    case Activation::relu:
      return at::relu(x);
    case Activation::silu:
      return at::silu(x);
    case Activation::tanh:
      return at::tanh(x);
  }
  TORCH_INTERNAL_ASSERT(false);
}

at::Tensor gated(const at::Tensor& gate, const at::Tensor& up, Activation activation) {
  return activate(gate, activation) * up;
}

void use_torch_threads(int threads) {
  if (threads > 0) at::set_num_threads(threads);
  set_parallel_for([](int64_t begin, int64_t end, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
    at::parallel_for(begin, end, grain, body);
  });
}

}  // namespace nuri::ops
