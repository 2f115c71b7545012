#pragma once

#include <cstdint>

#include "kernels/coding.h"
#include "kernels/epilogue.h"

// What the kernels of one set take: the public functions check the arguments, convert the small operands to float32
// and hand over a job. Every set defines the same functions in its own namespace.

namespace nuri::kernels {

constexpr int64_t kBlockPositions = 16;  // positions of one block of the KV cache

static constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Floats that a packed row of k takes, whatever the set's vector.
static constexpr int64_t packed_length(int64_t k) { return (k + 15) / 16 * 16; }

// Where the sums of a product go, and what comes behind them.
struct Result {
  Rows y;
  Epilogue epilogue;
};

// y[m, n] = sum_k x[m, k] w[n, k]. Strides in elements; w and the result's parts at any alignment.
struct FewRows : Result {
  int64_t m, k;
  const float* x;  // from pack_few_rows of the same set
  const void* w;
  int64_t w_stride;
  Element w_type;
};

// sums[m, n] = sum_k x[m, k] w[k, n] for `count` columns of w, which begins at the first of them.
struct ColumnSums {
  int64_t m, k;
  const float* x;  // [m, k]
  const void* w;
  int64_t w_stride;
  Element w_type;
  float* sums;  // [m, count]
  int64_t count;
};

// Some positions' part of the attention of queries of one sequence that share a key-value head, beside what their state
// holds of others: weighted sums of values, the greatest score (at first minus infinity) and the sum of all weights,
// relative to it.
struct PagedHead {
  const float* q;           // [queries, head_dim], already scaled
  float* sums;              // [queries, head_dim]
  float *greatest, *total;  // [queries]
  int64_t queries, head_dim;
  const void* keys;    // this head's part of block 0: [16, head_dim]
  const void* values;  // likewise
  Element cache_type;
  const float* key_scales;    // of codes of 8 bits, this head's of block 0: [16]; null: numbers of `cache_type`
  const float* value_scales;  // likewise
  int64_t block_stride;       // positions between one block and the next
  const int32_t* table;
  int64_t begin, end;
  int64_t next_begin, next_end;  // of the same head, wanted soon: to be fetched meanwhile
};

// out[i] = the sum over t < taps of in[t * stride + i] * weights[t], weights in fixed point of kWeightBits, rounded to
// the nearest and clamped to a byte, for i < length.
struct WeightedBytes {
  const uint8_t* in;
  int64_t stride;
  const int32_t* weights;
  int64_t taps;
  uint8_t* out;
  int64_t length;
};
constexpr int kWeightBits = 22;

// Rows of x [m, k], of float32 rounded to bfloat16, for tiles: groups of 16 rows, in each steps of 32 columns, in each
// [16 pairs of columns, 16 rows, 2]; rows behind the last are zeros. packed: whole groups, at the beginning of a cache
// line.
constexpr int64_t kTileRows = 16, kTileStep = 32;
struct TileRows {
  const void* x;
  Element type;  // float32 or bfloat16
  int64_t stride, m, k;
  void* packed;
  bool rest = false;  // of float32: what is lost of each number
};

// y[m, n] = sum_k x[m, k] w[n, k] of bfloat16, the weight as it is or in bfloat12.
struct TileProduct : Result {
  int64_t m, k;
  const void* x;  // from pack_tiles
  int64_t rest;   // numbers behind x, what is added to it, from there too; 0: nothing
  const void* w;  // null: in codes
  int64_t w_stride;
  const uint8_t *codes, *exponents;  // of the first panel, and what follows them there
  float* sums;                       // kTileSums of this thread's own, at the beginning of a cache line
};
// A block of y: groups of rows, 32 columns each.
constexpr int64_t kTileGroups = 34, kTileColumns = 8, kTileSums = kTileGroups * kTileColumns * kTileRows * kTileStep;

// A head as TileHead and TileHeadShape (kernels/tile_attention.h) have it.
constexpr int64_t kMostTileWidth = 256;
constexpr int64_t kAttentionQueries = 128, kAttentionKeys = 128;  // at a time
struct AttendedHead {
  const void *query, *key, *value;
  void* out;
  int64_t query_stride, key_stride, value_stride, out_stride;
  int64_t queries, keys, width;
  float scale;
  bool causal;
  Element query_type;
  const int64_t* first_seen;
  void* packed;  // packed_head_bytes, at the beginning of a cache line
  float* work;   // attention_work_bytes of this thread's own, likewise
};
// Keys and values, in whole blocks of keys and steps of 32 columns.
static constexpr int64_t packed_head_bytes(int64_t keys, int64_t width) {
  return (keys + kAttentionKeys - 1) / kAttentionKeys * kAttentionKeys * ((width + 31) / 32 * 32) * 2 * 2;
}
// Of a block of queries: themselves, scores, weights, sums, and two numbers of each.
static constexpr int64_t attention_work_bytes(int64_t width) {
  return kAttentionQueries * (((width + 31) / 32 * 32) * (2 + 4) + kAttentionKeys * (4 + 2) + 2 * 4);
}

// Rows of x [m, k] rounded to 8 bits, in equal passes of at most kPassRows. Of a pass of M rows: codes [groups of 32
// columns, 8 times 4 columns, M, 4], scales and sums of the codes [groups, M]. With `whole_rows` each row has one
// scale, which stands in all its groups, and in its first group the sum of all its codes.
constexpr int64_t kPassRows = 8;
static constexpr int64_t rounded_passes(int64_t m) { return (m + kPassRows - 1) / kPassRows; }
static constexpr int64_t rounded_pass(int64_t m, int64_t pass) { return m == 0 ? 0 : m * pass / rounded_passes(m); }
struct RoundedRows {
  int64_t m, k, groups;
  const void* x;
  Element type;
  int64_t stride;
  bool whole_rows;
  int8_t* codes;
  float* scales;
  int32_t* sums;
};

// A packed weight (kernels/coding.h) of y[m, n] = sum_k x[m, k] w[n, k].
struct CodedFactor : Result {
  int64_t n;
  Coding coding;
  const uint8_t* codes;
  const void* scales;
};
struct QuantizedProduct : CodedFactor {
  RoundedRows rows;
};

// The same of bfloat12, whose numbers x is not rounded to codes for.
struct ShortProduct : CodedFactor {
  int64_t m, k;
  // In passes as of RoundedRows, of M rows: [pairs of columns of whole groups, M, 2], zeros behind column k. In
  // float32, for the set bf16 in bfloat16.
  const void* x;
};

// The columns of one rotation (kernels/rotation.h).
constexpr int64_t kRotatedColumns = 256;

#define NURI_DECLARE_KERNELS(set)                                                                          \
  namespace set {                                                                                          \
  void convert(const void* from, Element from_type, void* to, Element to_type, int64_t count);             \
  /* x: [m, k] of any type; packed: m * packed_length(k) */                                                \
  void pack_few_rows(const void* x, Element type, int64_t stride, int64_t m, int64_t k, float* packed);    \
  /* columns [begin, end) of y */                                                                          \
  void few_rows(const FewRows& job, int64_t begin, int64_t end);                                           \
  void column_sums(const ColumnSums& job);                                                                 \
  void paged_head(const PagedHead& job);                                                                   \
  /* x: [dim] -> codes of 8 bits: [dim] */                                                                 \
  void code_row(const float* x, int64_t dim, int8_t* codes, float* scale);                                 \
  void silu_gate(const void* gate, const void* up, void* out, Element type, int64_t count);                \
  void quick_gelu(const void* x, void* out, Element type, int64_t count);                                  \
  void weighted_bytes(const WeightedBytes& job);                                                           \
  void rotate_block(float* x);                                                     /* [kRotatedColumns] */ \
  void round_rows(const RoundedRows& job, int64_t begin, int64_t end);             /* passes */            \
  void quantized_product(const QuantizedProduct& job, int64_t begin, int64_t end); /* panels of w */       \
  void short_product(const ShortProduct& job, int64_t begin, int64_t end);         /* likewise */          \
  }
NURI_DECLARE_KERNELS(scalar)
NURI_DECLARE_KERNELS(avx2)
NURI_DECLARE_KERNELS(avx512)
#undef NURI_DECLARE_KERNELS

// What products of bytes do; all else that such a processor runs is of the set avx512.
namespace vnni {
void round_rows(const RoundedRows& job, int64_t begin, int64_t end);
void quantized_product(const QuantizedProduct& job, int64_t begin, int64_t end);
}  // namespace vnni

// What products of bfloat16 do beside tiles: few rows of x that may be rounded to it, and caches of bfloat16, for heads
// of a multiple of 32 numbers up to kMostPairedDim.
constexpr int64_t kMostPairedDim = 256;
namespace bf16 {
void paged_head(const PagedHead& job);
void short_product(const ShortProduct& job, int64_t begin, int64_t end);
}  // namespace bf16

// What sets with products of bfloat16 do in tiles; all else that such a processor runs is of the sets before.
#define NURI_DECLARE_KERNELS(set)                                                              \
  namespace set {                                                                              \
  void pack_tiles(const TileRows& job, int64_t begin, int64_t end);      /* groups of rows */  \
  void tile_product(const TileProduct& job, int64_t begin, int64_t end); /* 32 columns of y */ \
  void pack_head(const AttendedHead& job);                                                     \
  /* queries, from a multiple of 16 on */                                                      \
  void attend_head(const AttendedHead& job, int64_t begin, int64_t end);                       \
  }
NURI_DECLARE_KERNELS(bf16)
NURI_DECLARE_KERNELS(amx)
#undef NURI_DECLARE_KERNELS

}  // namespace nuri::kernels
