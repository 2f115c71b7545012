#pragma once

#include <cstdint>

// What the kernels take that round weights to codes (kernels/coding.h); x has zeros behind its row's end, up to whole
// groups of 32 numbers.

namespace nuri::kernels {

// The least and the greatest number of each group, zero among them. -> whether all numbers are finite.
struct GroupExtents {
  const float* x;
  int64_t groups;
  float *least, *most;
};

// Moves the extents of each group closer to zero where codes of 4 bits between them are closer to its numbers then: of
// some parts of them, the one whose squared error is least.
struct CloserExtents {
  const float* x;
  int64_t groups;
  float *least, *most;
};

// The codes of one row, rounded to the nearest: (x - least) / scale, from 0 to `highest`; `none` where a scale is 0.
struct RowCodes {
  const float* x;
  int64_t k;
  const float *scale, *least;  // one a group
  int highest, none;
  bool four_bits;
  uint8_t* codes;  // the row's first in its panel
};

#define NURI_DECLARE_ROUNDING(set)               \
  namespace set {                                \
  bool group_extents(const GroupExtents& job);   \
  void closer_extents(const CloserExtents& job); \
  void row_codes(const RowCodes& job);           \
  }
NURI_DECLARE_ROUNDING(scalar)
NURI_DECLARE_ROUNDING(avx2)
NURI_DECLARE_ROUNDING(avx512)
#undef NURI_DECLARE_ROUNDING

}  // namespace nuri::kernels
