#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/coding.h"

namespace nuri {

// Whole numbers from 0, [rows, columns] of 4 or 8 bits: several in a little-endian word of 32 bits, which follow each
// other along the rows or the columns, or one in a byte.
struct PackedIntegers {
  enum class Along { rows, columns };

  std::span<const std::byte> bytes;
  int bits = 4;
  int word_bytes = 4;
  Along along = Along::columns;
  int64_t row_stride = 0, column_stride = 0;                 // in words
  std::array<uint8_t, 8> places = {0, 1, 2, 3, 4, 5, 6, 7};  // where in its word the i-th number stands
  uint8_t flipped = 0;                                       // these bits are stored the other way round

  // How many numbers a word holds.
  int64_t share() const { return word_bytes * 8 / bits; }
  uint8_t at(int64_t row, int64_t column) const;
  // Rows [begin, end) by columns [0, columns), a byte each, `stride` bytes from row to row. `begin` is a multiple of 8.
  void unpack(int64_t begin, int64_t end, int64_t columns, uint8_t* to, int64_t stride) const;
};

// A matrix [n, k] as published files have it: the number in column j is (code - zero) * scale, with the zero and the
// scale of its row and of the group of j.
struct PublishedMatrix {
  int64_t n = 0, k = 0, groups = 0;
  PackedIntegers codes;
  std::vector<int32_t> group_of;     // [k]
  std::vector<float> scales;         // [n, groups]
  std::vector<uint8_t> zeros;        // [n, groups]
  at::ScalarType type = at::kFloat;  // of the scales in the file
};

// The coding of kernels that means the same numbers; nothing where there is none:
//   every 32 columns have to share a group;
//   scales, and of int4_ranges -zero * scale, are rounded to float16 (int8_rows has them in float32), which may take
//   off 2^-11 of them and no more: below float16's normal numbers that may fail, and above; 8 bits have a coding only
//   where all of code - zero + 128 are codes.
// Where all zeros of 4 bits are 8, and the scales float16's own, nothing is rounded.
std::optional<kernels::Coding> coding_of(const PublishedMatrix& matrix);

// The matrix in that coding, as kernels/coding.h tells: uint8. Parallel over rows.
at::Tensor packed_as(const PublishedMatrix& matrix, kernels::Coding coding);

// The numbers [n, k] in float32, float16 or bfloat16: each product rounded to `matrix.type`, as readers of these files
// do, and then to `dtype`. Parallel over rows.
at::Tensor numbers_of(const PublishedMatrix& matrix, at::ScalarType dtype);

}  // namespace nuri
