#pragma once

#include <ATen/core/Tensor.h>

#include "weights/weight_view.h"

namespace nuri {

// Rounding of a matrix [n, k] that knows what it will be multiplied with: `moments` [k, k], float32, is the sum of
// x^T x over rows x [1, k]. In each group the line is the one of a few shrunken extents that errs least where x is
// great. Results have the type of `numbers`; numbers that are not finite are an Error(format), as in round_to_codes.

// GPTQ (Frantar et al. 2023): column by column, the columns that follow make good for the error of a rounded one as far
// as they can. For a matrix whose inputs were never seen (`moments` all zero) the same as round_to_codes.
WeightStore::Codes round_with_feedback(const at::Tensor& numbers, const at::Tensor& moments, kernels::Coding coding);

// Each number for itself.
WeightStore::Codes round_weighed(const at::Tensor& numbers, const at::Tensor& moments, kernels::Coding coding);

// How far the outputs of a rounded matrix are off: the sum over all seen x of |x (rounded - numbers)^T|^2.
double output_error(const at::Tensor& numbers, const at::Tensor& rounded, const at::Tensor& moments);

// AWQ (Lin et al. 2024): factors [k] by which the columns of all `matrices`, which share their input, are to be
// multiplied before they are rounded by round_weighed, and x divided: powers of the input's magnitude, the power that
// brings the least error in sum. float32.
at::Tensor find_column_factors(const std::vector<at::Tensor>& matrices, const at::Tensor& moments,
                               kernels::Coding coding);

}  // namespace nuri
