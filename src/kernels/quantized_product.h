#pragma once

#include <span>

#include "kernels/coding.h"
#include "kernels/epilogue.h"

namespace nuri::kernels {

// One of several products of the same rows x: a packed weight [n, k] and what comes behind it give y [m, n].
struct QuantizedFactor {
  int64_t n;
  Coding coding;
  const void* packed;
  Rows y;
  Epilogue epilogue = {};
  // Another weight of this size and kind, whose result multiplies this one's, which then joins nothing else; its own y
  // is not written.
  const QuantizedFactor* gate = nullptr;
  // Of bfloat12: whether x of float32 may be rounded to bfloat16. It is where that is multiplied, which takes numbers
  // below 2^-126 for 0.
  bool rounds = false;
  // And that many rows are not rounded, but taken as two of bfloat16 (TileFactor::in_two); a few stay as they are.
  bool in_two = false;
};

// Where the weight has one scale a row (int8_rows, int8_rotated), so has each row of x: a product of codes is exact.
//
// Else up to so many rows of x are rounded by groups of 32 columns, each, and multiplied by the weight's codes as they
// are, which come from memory once for up to 8 rows of x.
constexpr int64_t kCodedFewRows = 16;
// More rows are rounded by blocks of so many columns, and so is the weight from its own codes to 8 bits with one scale
// a row and block: once for 1024 rows of x. The second rounding moves a number by at most 1/254 of its block's
// greatest.
constexpr int64_t kCodedBlock = 512;
// By fewer where a weight of int8_groups is among the factors, whose own codes are finer than those of such blocks.
constexpr int64_t kGroupedBlock = 128;

// For each factor y[m, n] = sum_k x[m, k] w[n, k] and its epilogue. Rows of x are rounded to 8 bits first, each by
// itself, as told above; products of codes are summed exactly, groups or blocks of them in float32. Parallel over the
// rows of all weights together; the result depends neither on the number of threads nor, but for the two ways above, on
// what other rows x has. A number that is not finite spoils its group, block or row, and so the result. Throws
// Error(internal) for no column or more than 65,536, strides shorter than a row, int8_rows, int8_rotated or bfloat12
// beside other codings, and what bfloat12_multiplies does not take.
void quantized_products(int64_t m, int64_t k, ConstRows x, std::span<const QuantizedFactor> factors);

}  // namespace nuri::kernels
