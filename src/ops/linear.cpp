#include <ATen/ATen.h>

#include "ops/ops.h"

namespace nuri::ops {

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::linear(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

}  // namespace nuri::ops
