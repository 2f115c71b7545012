#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>

#include "kernels/coding.h"
#include "kernels/element.h"
#include "weights/weight_view.h"

namespace nuri {

// What `--weights int8`, int4 or bf12, that is `coding`, means for the matrix of this canonical name, at load and in
// files. Nothing: it stays in numbers, as what has `vision` or `visual` in its name. What stands in front of words or
// behind them, and what chooses experts, has 8 bits at least.
std::optional<kernels::Coding> usual_coding(std::string_view name, kernels::Coding coding);

// Of float32, float16 and bfloat16.
kernels::Element element_of(at::ScalarType type);

// "int8_rows" and so on.
std::string_view name_of(kernels::Coding coding);

// A matrix [n, k] of floating-point numbers, on the CPU or the meta device, rounded to the nearest codes; in bfloat12
// it is not rounded, and there is nothing where it does not fit (kernels/bfloat12.h) or is of another type. Throws
// Error(format) for a number that is not finite.
std::optional<WeightStore::Codes> pack_in_codes(const at::Tensor& numbers, kernels::Coding coding);
// Whether there is something.
bool fits_in_codes(const at::Tensor& numbers, kernels::Coding coding);
// The same for a coding that rounds.
WeightStore::Codes round_to_codes(const at::Tensor& numbers, kernels::Coding coding);

// The numbers [n, k] that codes mean, in their type.
at::Tensor numbers_of(const WeightStore::Codes& codes, int64_t n, int64_t k);

// The matrix within its tensor: a view.
at::Tensor cut(const at::Tensor& tensor, const MatrixPart& part, int64_t n);

}  // namespace nuri
