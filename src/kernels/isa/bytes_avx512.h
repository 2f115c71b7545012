#pragma once

#include "kernels/isa/vector_avx512.h"

// What the two sets of quantised products with AVX-512 share; see quantized_product.inc.
namespace nuri::kernels::avx512 {
namespace {

using Ints = __m512i;
using Bytes = __m512i;

inline Bytes load_bytes(const uint8_t* from) { return _mm512_loadu_si512(from); }
inline Bytes low_halves(Bytes pair) { return _mm512_and_si512(pair, _mm512_set1_epi8(0x0F)); }
inline Bytes high_halves(Bytes pair) { return low_halves(_mm512_srli_epi16(pair, 4)); }
inline Ints every(int32_t value) { return _mm512_set1_epi32(value); }
inline Bytes four(const int8_t* x) {
  int32_t bits;
  __builtin_memcpy(&bits, x, 4);
  return _mm512_set1_epi32(bits);
}
inline Vec to_floats(Ints sum) { return _mm512_cvtepi32_ps(sum); }

}  // namespace
}  // namespace nuri::kernels::avx512
