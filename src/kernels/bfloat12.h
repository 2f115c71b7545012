#pragma once

#include <cstdint>
#include <span>

#include "kernels/coding.h"
#include "kernels/quantized_product.h"

namespace nuri::kernels {

// Whether w [n, k] of bfloat16 can be packed without loss: in no panel too many numbers are smaller than 2^-15 of their
// group's greatest, and none is infinite or no number. Parallel over panels. Throws Error(internal) for another type.
bool bfloat12_fits(int64_t n, int64_t k, ConstRows w);

// Packs it (Coding::bfloat12); `packed` has quantized_bytes. False where it does not fit: what `packed` then holds
// means nothing. The rest is the same.
bool pack_bfloat12(int64_t n, int64_t k, ConstRows w, void* packed);

// Rows [begin, end) of such a weight [n, k], one after the other, as bfloat16. Parallel over panels.
void unpack_bfloat12(int64_t n, int64_t k, const void* packed, int64_t begin, int64_t end, uint16_t* rows);

// Whether quantized_products takes m rows of x [m, k], of that type, with such a weight: a few, or in matrix tiles any
// number of bfloat16, and where it may be rounded (QuantizedFactor::rounds) of float32.
bool bfloat12_multiplies(int64_t m, int64_t n, int64_t k, Element x, bool rounds = false);
// quantized_products of such weights alone.
void bfloat12_products(int64_t m, int64_t k, const ConstRows& x, std::span<const QuantizedFactor> factors);

}  // namespace nuri::kernels
