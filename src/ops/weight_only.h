#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "ops/packed.h"

namespace nuri::ops {

// A weight [N, K] of codes as libtorch's own weight-only operators read it (the int4 layout is that of "tinygemm" in
// gpt-fast): what a GPU multiplies by, where our kernels do not run. On the CPU the same operators exist.
struct WeightOnly {
  // int8 [N, K], one scale a row: code * scale. Else what _convert_weight_to_int4pack made of 4 bits.
  at::Tensor codes;
  // [N] float32; or of 4 bits, in groups of 32 columns, [K / 32, N, 2] bfloat16: (code - 8) * scale + zero.
  at::Tensor scales;
  bool four_bits() const { return scales.dim() == 3; }
};

// The packed weight, whose bytes lie on the CPU, in that form on `device`. The codes stay what they are, and so do the
// scales of rows; those of groups, float16 with 11 bits, become bfloat16 with 8, so that a number is off by up to
// 2^-9 * (8 * scale + |zero|), a 64th of a step of its codes where the group lies around 0. Null where libtorch has no
// such form: for 8 bits in groups or rotated, and for 4 bits unless 16 divides N and 32 divides K.
std::shared_ptr<const PackedWeight> to_weight_only(const PackedWeight& weight, at::Device device);

// x [..., K] of any floating type times the weight transposed, plus bias [N] or none -> [..., N] in x's type. 4 bits
// are multiplied in bfloat16, which a GPU needs compute capability 8.0 for; 8 bits in float32, or where there are many
// rows, in x's type. Keeps the graph to x where a gradient is wanted.
at::Tensor weight_only_product(const at::Tensor& x, const PackedWeight& weight, const at::Tensor& bias);

// As unpack and unpack_rows.
at::Tensor weight_only_numbers(const PackedWeight& weight, at::ScalarType dtype);
at::Tensor weight_only_rows(const PackedWeight& weight, const at::Tensor& ids, at::ScalarType dtype);

}  // namespace nuri::ops
