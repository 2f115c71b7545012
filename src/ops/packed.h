#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "kernels/coding.h"

namespace nuri::ops {

// A weight [N, K] of codes in place of numbers. Products of it have no gradient for it.
struct PackedWeight {
  kernels::Coding coding;
  int64_t n, k;
  at::Tensor bytes;  // uint8, as kernels/coding.h tells
};

// Rounds a weight [N, K] of floating-point numbers on the CPU to the nearest codes. Throws Error(format) for a number
// that is not finite.
std::shared_ptr<const PackedWeight> pack(const at::Tensor& weight, kernels::Coding coding);

// The numbers that the codes mean, [N, K], in the type and on the device of `like`.
at::Tensor unpack(const PackedWeight& weight, const at::Tensor& like);

// Rows by index, on the CPU; ids: int64, any shape -> [..., K]. Throws Error(internal) for an index that is no row.
at::Tensor unpack_rows(const PackedWeight& weight, const at::Tensor& ids, at::ScalarType dtype);

}  // namespace nuri::ops
