#pragma once

#include <cstdint>
#include <span>

#include "kernels/element.h"

namespace nuri::kernels {

// The keys and values of one layer: two arrays [blocks, kv_heads, 16, head_dim], contiguous.
struct PagedCache {
  const void* keys;
  const void* values;
  Element type;
  int64_t blocks, kv_heads, head_dim;
};

// One query position, the last of its sequence: it sees positions begin .. length - 1, of which position p lies in the
// block table[p / 16].
struct PagedQuery {
  const void* q;         // [heads, head_dim]
  void* out;             // [heads, head_dim]
  const int32_t* table;  // ceil(length / 16) block numbers
  int64_t length;
  int64_t begin = 0;  // of a sliding window, of a chunk
};

// softmax(scale q k) v for each query and head, in float32 with an online softmax; query head h reads key-value head
// h / (heads / kv_heads), and the queries that share one share its loads. q and out have the type `q_type`. A query
// that sees nothing gives zeros. Parallel over queries and key-value heads. Throws Error(internal) when heads is no
// multiple of kv_heads, a query begins before its sequence or a table names a block that the cache lacks.
void paged_attention(const PagedCache& cache, std::span<const PagedQuery> queries, int64_t heads, Element q_type,
                     float scale);

}  // namespace nuri::kernels
