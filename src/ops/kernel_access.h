#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>

#include "kernels/element.h"

// What operators ask before they hand raw pointers to a kernel.
namespace nuri::ops {

// Whether kernels may do the work on these tensors (undefined ones do not count): all on the CPU with numbers that
// kernels know, and neither gradients nor autocast wanted, of which a kernel knows nothing.
bool kernels_may_run(std::initializer_list<at::Tensor> tensors);

// For float32, float16 and bfloat16 only.
kernels::Element element_of(const at::Tensor& tensor);

// Whether this processor multiplies numbers of the type fast; where it does not, libtorch's products crawl.
bool multiplies_fast(at::ScalarType type);

}  // namespace nuri::ops
