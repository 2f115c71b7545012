#pragma once

#include "kernels/isa/jobs.h"

// Products of many rows with a packed weight. Of 32 rows of the weight a block of columns is brought to codes of 8
// bits, which stay in the first-level cache while all rows of x pass by; sums of products are exact over the columns
// that share a scale.

namespace nuri::kernels {

constexpr int64_t kBlockColumns = 512, kSlabRows = 32, kStepColumns = 64;
constexpr int64_t kMostBlockedRows = 1024;  // of x at a time
constexpr int64_t kKeptCodes = 1 << 20, kPassingSlabs = 8;

static constexpr int64_t count_blocks(int64_t k) { return (k + kBlockColumns - 1) / kBlockColumns; }
static constexpr int64_t count_steps(int64_t k) { return (k + kStepColumns - 1) / kStepColumns; }

// Rows of x [m, k], each rounded to 8 bits with one scale for so many columns, as many rows of a weight have. Groups of
// 16 rows, of each: codes [steps of 64 columns, 16, 64], scales and -128 times the sums of the codes [scaled, 16].
// There is an even number of groups; rows and columns that x does not have are zeros.
struct BlockedRows {
  int64_t m, k;
  int64_t shared_columns;  // k, or steps of which a block has a whole number
  int8_t* codes;
  float* scales;
  int32_t* sums;
  int64_t groups() const { return (m + kSlabRows - 1) / kSlabRows * 2; }
  int64_t in_group(int64_t group) const { return m - group * 16 < 16 ? (m > group * 16 ? m - group * 16 : 0) : 16; }
  int64_t scaled() const { return (k + shared_columns - 1) / shared_columns; }
  // Whose codes stay in the second-level cache, of which they take half.
  int64_t kept_blocks() const {
    const int64_t kept = kKeptCodes / (groups() * 16 * kBlockColumns);
    return kept > 1 ? kept : 1;
  }
  // Of so many slabs their sums are held at a time.
  int64_t summed_slabs() const { return kept_blocks() < count_blocks(k) ? kPassingSlabs : 1; }
};

struct BlockedProduct : CodedFactor {
  BlockedRows rows;
  // Sums of blocks of this thread's own, in float32, or with whole rows in int32: [summed slabs, whole groups of x,
  // 32], at the beginning of a cache line.
  void* totals;
};

#define NURI_DECLARE_KERNELS(set)                                                                 \
  namespace set {                                                                                 \
  /* x: the rows of one group */                                                                  \
  void round_group(const BlockedRows& job, int64_t group, const ConstRows& x);                    \
  void blocked_product(const BlockedProduct& job, int64_t begin, int64_t end); /* 32 rows of w */ \
  }
NURI_DECLARE_KERNELS(scalar)
NURI_DECLARE_KERNELS(avx2)
NURI_DECLARE_KERNELS(avx512)
NURI_DECLARE_KERNELS(vnni)
NURI_DECLARE_KERNELS(amx)
#undef NURI_DECLARE_KERNELS

}  // namespace nuri::kernels
