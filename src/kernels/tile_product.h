#pragma once

#include <cstdint>
#include <span>

#include "kernels/bend.h"
#include "kernels/few_rows.h"

namespace nuri::kernels {

// One of several products of the same rows x: w [n, k] of bfloat16 and perhaps bias [n] give y [m, n] of bfloat16.
struct TileFactor {
  int64_t n;
  ConstRows w;
  Rows y;
  ConstVector bias = {};
  Bend bend = Bend::none;
};

// Whether tile_products can make a product of these sizes: on a processor with matrix tiles (AMX), for n and k in
// multiples of 32.
bool tiles_fit(int64_t n, int64_t k);

// For each factor y[m, n] = bend(sum_k x[m, k] w[n, k] (+ bias[n])), x, w and y of bfloat16, sums of float32; y is
// rounded once. Weights are taken as they lie in a checkpoint; what is packed for the whole product is x. A row of y
// does not depend on the others, nor on the number of threads. Throws Error(internal) for sizes that do not fit, other
// types, or strides shorter than a row.
void tile_products(int64_t m, int64_t k, ConstRows x, std::span<const TileFactor> factors);

}  // namespace nuri::kernels
