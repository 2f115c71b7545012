#pragma once

#include <cstdint>
#include <span>

#include "kernels/epilogue.h"

namespace nuri::kernels {

// One of several products of the same rows x: w [n, k] of bfloat16 and what comes behind it give y [m, n].
struct TileFactor {
  int64_t n;
  ConstRows w;
  Rows y;
  Epilogue epilogue = {};
  // Another weight of this size and kind, whose result multiplies this one's, which then joins nothing else; its own y
  // is not written.
  const TileFactor* gate = nullptr;
  const void* bfloat12 = nullptr;  // the weight packed so, in place of w
  // x of float32 is multiplied as a sum of two numbers of bfloat16, itself rounded and what that leaves, for twice the
  // time. A number beyond what bfloat16 holds gives none.
  bool in_two = false;
};

// Whether tile_products can make a product of these sizes: on a processor with products of bfloat16 (AVX512_BF16 or
// AMX), for n and k in multiples of 32.
bool tiles_fit(int64_t n, int64_t k);

// For each factor y[m, n] = sum_k x[m, k] w[n, k] and its epilogue, w of bfloat16, x too or of float32, of which each
// number is rounded to bfloat16 first, or taken in_two; sums of float32; y is rounded once. Weights are taken as they
// lie in a checkpoint; what is packed for the whole product is x. A row of y does not depend on the others, nor on the
// number of threads. Throws Error(internal) for sizes that do not fit, other types, or strides shorter than a row.
void tile_products(int64_t m, int64_t k, ConstRows x, std::span<const TileFactor> factors);

}  // namespace nuri::kernels
