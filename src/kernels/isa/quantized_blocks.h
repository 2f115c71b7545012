#pragma once

#include "kernels/isa/jobs.h"

// Products of many rows with a packed weight. Of 32 rows of the weight a block of columns is brought to codes of 8 bits
// with one scale a row, which stay in the first-level cache while all rows of x pass by; sums of products are exact
// over a block.

namespace nuri::kernels {

constexpr int64_t kBlockColumns = 512, kSlabRows = 32, kStepColumns = 64;
constexpr int64_t kMostBlockedRows = 1024;  // of x at a time

static constexpr int64_t count_blocks(int64_t k) { return (k + kBlockColumns - 1) / kBlockColumns; }
static constexpr int64_t count_steps(int64_t k) { return (k + kStepColumns - 1) / kStepColumns; }

// Rows of x [m, k], each rounded to 8 bits with one scale a block. Groups of 16 rows, of each: codes [steps of 64
// columns, 16, 64], scales and -128 times the sums of the codes [blocks, 16]. There is an even number of groups; rows
// and columns that x does not have are zeros.
struct BlockedRows {
  int64_t m, k;
  const void* x;
  Element type;
  int64_t stride;
  int8_t* codes;
  float* scales;
  int32_t* sums;
  int64_t groups() const { return (m + kSlabRows - 1) / kSlabRows * 2; }
};

struct BlockedProduct : CodedFactor {
  BlockedRows rows;
  float* totals;  // [whole groups of x, 32] of this thread's own, at the beginning of a cache line
};

#define NURI_DECLARE_KERNELS(set)                                                                   \
  namespace set {                                                                                   \
  void round_blocks(const BlockedRows& job, int64_t begin, int64_t end);       /* groups of rows */ \
  void blocked_product(const BlockedProduct& job, int64_t begin, int64_t end); /* 32 rows of w */   \
  }
NURI_DECLARE_KERNELS(scalar)
NURI_DECLARE_KERNELS(avx2)
NURI_DECLARE_KERNELS(avx512)
NURI_DECLARE_KERNELS(vnni)
NURI_DECLARE_KERNELS(amx)
#undef NURI_DECLARE_KERNELS

}  // namespace nuri::kernels
