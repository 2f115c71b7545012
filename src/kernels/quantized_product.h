#pragma once

#include <span>

#include "kernels/coding.h"
#include "kernels/few_rows.h"

namespace nuri::kernels {

// One of several products of the same rows x: a packed weight [n, k] and perhaps bias [n] give y [m, n].
struct QuantizedFactor {
  int64_t n;
  Coding coding;
  const void* packed;
  Rows y;
  ConstVector bias = {};
};

// For each factor y[m, n] = sum_k x[m, k] w[n, k] (+ bias[n]). Rows of x are rounded to 8 bits first, each by itself:
// a group of 32 columns by its greatest number, with int8_rows the whole row. Products of codes are summed exactly,
// groups in float32. Each weight is read from memory once for up to 8 rows of x, for more it is read again from the
// cache. Parallel over the panels of all weights together; the result depends neither on the number of threads nor on
// what other rows x has. A number that is not finite spoils its group, or its row, and so the result. Throws
// Error(internal) for no column or more than 65,536, strides shorter than a row, and int8_rows beside other codings.
void quantized_products(int64_t m, int64_t k, ConstRows x, std::span<const QuantizedFactor> factors);

}  // namespace nuri::kernels
