#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "kernels/coding.h"

namespace nuri::ops {

struct WeightOnly;

// A weight [N, K] of codes in place of numbers. Products of it have no gradient for it.
struct PackedWeight {
  kernels::Coding coding;
  int64_t n, k;
  at::Tensor bytes;  // uint8, as kernels/coding.h tells
  // The form that libtorch's own operators read (ops/weight_only.h), in place of the bytes; null: our kernels'.
  std::shared_ptr<const WeightOnly> weight_only = {};
  at::ScalarType type = at::kFloat;  // of the model: of 16 bits, x of float32 may be rounded to it
};

// The numbers that the codes mean, [N, K], in the type and on the device of `like`.
at::Tensor unpack(const PackedWeight& weight, const at::Tensor& like);

// Rows by index, of our kernels' form on the CPU or the meta device, of the other where it lies; ids: int64, any shape
// -> [..., K]. Throws Error(internal), libtorch's own error in the other form, for an index that is no row.
at::Tensor unpack_rows(const PackedWeight& weight, const at::Tensor& ids, at::ScalarType dtype);

}  // namespace nuri::ops
