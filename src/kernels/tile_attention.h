#pragma once

#include <cstdint>
#include <span>

#include "kernels/element.h"

namespace nuri::kernels {

// A head: its queries, and the keys and values of bfloat16 that they look at. Position i begins `stride` numbers behind
// position i - 1; any alignment.
struct TileHead {
  const void *query, *key, *value;
  void* out;
  int64_t query_stride, key_stride, value_stride, out_stride;
};

// What all heads have in common. `causal`: the queries are at the positions of the last keys, and see no key
// behind their own; otherwise each sees all.
struct TileHeadShape {
  int64_t queries, keys, width;
  float scale;
  bool causal = false;
  Element query_type =
      Element::bfloat16;                // of queries, which are rounded to bfloat16, and of what comes out; or float32
  const int64_t* first_seen = nullptr;  // of each query the first key that it sees, none before that of the query in
                                        // front of it; null: key 0
};

// Whether tile_attention takes heads of this shape: on a processor with products of bfloat16 (AVX512_BF16 or AMX), for
// widths of up to 256, and up to 16,384 keys, whose packed form each thread keeps.
bool tiles_attend(const TileHeadShape& shape);

// For each head out = softmax(scale * query key^T) value, [queries, width]: scores and sums of float32, the
// weights of the values rounded to bfloat16, online (Dao et al. 2022). A query's result does not depend on the other
// queries, nor on the number of threads. Throws Error(internal) for a shape that does not fit, strides shorter than
// a row, or a query that sees nothing.
void tile_attention(const TileHeadShape& shape, std::span<const TileHead> heads);

}  // namespace nuri::kernels
