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
inline Ints to_ints(Vec a) { return _mm512_cvtps_epi32(a); }
inline Ints add_ints(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
inline int32_t total_of(Ints a) { return _mm512_reduce_add_epi32(a); }
inline Ints load_ints(const int32_t* from) { return _mm512_loadu_si512(from); }
inline void store_ints(int32_t* to, Ints a) { _mm512_storeu_si512(to, a); }
inline void store_bytes(uint8_t* to, Bytes a) { _mm512_storeu_si512(to, a); }
inline void store_codes(int8_t* to, Ints a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(a));
}
inline Ints byte_of(Bytes codes, int i) {
  return _mm512_and_si512(_mm512_srli_epi32(codes, static_cast<unsigned>(8 * i)), _mm512_set1_epi32(0xFF));
}
inline Bytes joined(Ints a, Ints b, Ints c, Ints d) {
  const __m512i low = _mm512_or_si512(a, _mm512_slli_epi32(b, 8)), high = _mm512_or_si512(c, _mm512_slli_epi32(d, 8));
  return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

}  // namespace
}  // namespace nuri::kernels::avx512
