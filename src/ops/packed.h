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

// The numbers that the codes mean, [N, K], in the type and on the device of `like`.
at::Tensor unpack(const PackedWeight& weight, const at::Tensor& like);

// Rows by index, on the CPU or the meta device; ids: int64, any shape -> [..., K]. Throws Error(internal) for an index
// that is no row.
at::Tensor unpack_rows(const PackedWeight& weight, const at::Tensor& ids, at::ScalarType dtype);

}  // namespace nuri::ops
