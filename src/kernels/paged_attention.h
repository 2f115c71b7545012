#pragma once

#include <cstdint>
#include <span>

#include "kernels/element.h"

namespace nuri::kernels {

// The keys and values of one layer: two arrays [blocks, kv_heads, 16, head_dim], contiguous. With scales [blocks,
// kv_heads, 16] they are codes of 8 bits, each of which stands for code * scale, and `type` does not count.
struct PagedCache {
  const void* keys;
  const void* values;
  Element type;
  int64_t blocks, kv_heads, head_dim;
  const float* key_scales = nullptr;  // both or neither
  const float* value_scales = nullptr;
};

// One query position, the last of its sequence: it sees positions begin .. length - 1, of which position p lies in the
// block table[p / 16].
struct PagedQuery {
  const void* q;         // [heads, head_dim]
  void* out;             // [heads, head_dim]
  const int32_t* table;  // ceil(length / 16) block numbers
  int64_t length;
  int64_t begin = 0;  // of a sliding window, of a chunk
  int64_t sinks = 0;  // so many first positions are seen besides (attention sinks, Xiao et al. 2024)
};

// softmax(scale q k) v for each query and head, in float32 with an online softmax; query head h reads key-value head
// h / (heads / kv_heads), and the queries that share one share its loads. q and out have the type `q_type`. A query
// that sees nothing gives zeros. Parallel over queries and key-value heads. Throws Error(internal) when heads is no
// multiple of kv_heads, a query begins before its sequence or a table names a block that the cache lacks.
void paged_attention(const PagedCache& cache, std::span<const PagedQuery> queries, int64_t heads, Element q_type,
                     float scale);

// Keys or values as codes of 8 bits: [blocks, kv_heads, 16, head_dim], and their scales [blocks, kv_heads, 16].
struct CodedBlocks {
  int8_t* codes;
  float* scales;
  int64_t blocks, kv_heads, head_dim;
};

// Row i of x [rows, kv_heads, head_dim] becomes position offsets[i] of block blocks[i], rounded: each head's scale is
// its greatest amount / 127. Of a head with an infinity or NaN the scale is NaN; one whose greatest amount is below
// 127 * 2^-126 becomes zeros. Throws Error(internal) for a place that the blocks lack.
void store_coded(const void* x, Element type, std::span<const int64_t> blocks, std::span<const int64_t> offsets,
                 const CodedBlocks& cache);

}  // namespace nuri::kernels
