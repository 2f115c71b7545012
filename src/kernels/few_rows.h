#pragma once

#include <cstdint>
#include <span>

#include "kernels/epilogue.h"

namespace nuri::kernels {

// Rows of x up to which a product is bound by reading the weights once, so that its kernel is one for few rows. Matrix
// tiles, where they can take it, read the weights slower, and are faster from fewer rows on.
constexpr int64_t most_few_rows(bool tiles) { return tiles ? 6 : 16; }

// One of several products of the same rows x: w [n, k] and what comes behind it give y [m, n].
struct FewRowsFactor {
  int64_t n;
  ConstRows w;
  Rows y;
  Epilogue epilogue = {};
  // Another weight of this size and kind, whose result multiplies this one's, which then joins nothing else; its own y
  // is not written.
  const FewRowsFactor* gate = nullptr;
};

// For each factor y[m, n] = sum_k x[m, k] w[n, k] and its epilogue, with w as it lies in a checkpoint. Products and
// sums are float32 whatever the types; y is rounded once. Each weight is read from memory once, for up to 8 rows of x
// from registers, for more from the cache: the product for decoding, where m is 1 to 16. It stays right for any m, but
// a packed product overtakes it from about 16 rows on. Parallel over the rows of all w together, so that threads meet
// once, not once a factor; the result does not depend on the number of threads. Throws Error(internal) for negative
// sizes or strides shorter than a row.
void few_rows_products(int64_t m, int64_t k, ConstRows x, std::span<const FewRowsFactor> factors);

// y[m, n] = sum_k x[m, k] w[k, n] (+ bias[n]), for weights that lie the other way round: w [k, n], as a checkpoint that
// multiplies from the right has them. Otherwise as above.
void few_rows_product_by_columns(int64_t m, int64_t n, int64_t k, ConstRows x, ConstRows w, Rows y,
                                 ConstVector bias = {});

// With one factor.
void few_rows_product(int64_t m, int64_t n, int64_t k, ConstRows x, ConstRows w, Rows y, ConstVector bias = {});

}  // namespace nuri::kernels
