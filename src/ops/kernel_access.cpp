#include "ops/kernel_access.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include <algorithm>

#include "kernels/cpu.h"
#include "ops/ops.h"

namespace nuri::ops {

bool kernels_may_run(std::initializer_list<at::Tensor> tensors) {
  if (at::autocast::is_autocast_enabled(at::kCPU)) return false;
  return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor& tensor) {
    if (!tensor.defined()) return true;
    at::ScalarType type = tensor.scalar_type();
    bool known = type == at::kFloat || type == at::kHalf || type == at::kBFloat16;
    return known && tensor.device().is_cpu() && !(at::GradMode::is_enabled() && tensor.requires_grad());
  });
}

kernels::Element element_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return kernels::Element::float32;
    case at::kHalf:
      return kernels::Element::float16;
    case at::kBFloat16:
      return kernels::Element::bfloat16;
    default:
      TORCH_INTERNAL_ASSERT(false, "kernels know no ", tensor.scalar_type());
  }
}

at::ScalarType activation_type(at::ScalarType weights, at::Device device) {
  const bool may_run = device.is_cpu() && !at::GradMode::is_enabled() && !at::autocast::is_autocast_enabled(at::kCPU);
  return may_run && (weights == at::kHalf || weights == at::kBFloat16) ? at::kFloat : weights;
}

bool multiplies_fast(at::ScalarType type) {
  return type == at::kFloat || (type == at::kBFloat16 && kernels::cpu_features().avx512_bf16);
}

}  // namespace nuri::ops
