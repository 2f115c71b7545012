#pragma once

#include <ATen/core/Tensor.h>

namespace nuri {

// Rows [..., D] of length 1.
at::Tensor unit_rows(const at::Tensor& x);

// How near each row of x [N, D] lies to each of the unit rows `directions` [C, D], as scores of a classifier [N, C]:
// the cosines times 20, so that a row must clearly prefer one.
at::Tensor cosine_scores(const at::Tensor& x, const at::Tensor& directions);

}  // namespace nuri
