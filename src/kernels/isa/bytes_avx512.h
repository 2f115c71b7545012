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

using Halves = __m512i;
inline Halves both(Ints a) {
  return _mm512_or_si512(_mm512_and_si512(a, _mm512_set1_epi32(0xFFFF)), _mm512_slli_epi32(a, 16));
}
// Numbers with 7 bits behind the point: those at even places, and those at odd ones, to bytes.
inline Bytes interleaved(Halves even, Halves odd) {
  const __m512i high = _mm512_set1_epi16(static_cast<int16_t>(0xFF00));
  return _mm512_or_si512(_mm512_srli_epi16(even, 7), _mm512_and_si512(_mm512_slli_epi16(odd, 1), high));
}
inline Bytes recoded(Bytes codes, Halves factor, Halves offset) {
  const __m512i even = _mm512_and_si512(codes, _mm512_set1_epi16(0xFF)), odd = _mm512_srli_epi16(codes, 8);
  return interleaved(_mm512_add_epi16(_mm512_mullo_epi16(even, factor), offset),
                     _mm512_add_epi16(_mm512_mullo_epi16(odd, factor), offset));
}
inline Bytes recoded_signed(Bytes codes, Halves gain, Halves factor, Halves offset) {
  const __m512i signs = _mm512_xor_si512(codes, _mm512_set1_epi8(-128));
  const __m512i even = _mm512_mullo_epi16(_mm512_slli_epi16(signs, 8), gain);
  const __m512i odd =
      _mm512_mullo_epi16(_mm512_and_si512(signs, _mm512_set1_epi16(static_cast<int16_t>(0xFF00))), gain);
  return interleaved(_mm512_add_epi16(_mm512_mulhrs_epi16(even, factor), offset),
                     _mm512_add_epi16(_mm512_mulhrs_epi16(odd, factor), offset));
}
inline Bytes distance(Bytes codes) { return _mm512_abs_epi8(_mm512_xor_si512(codes, _mm512_set1_epi8(-128))); }
inline Bytes larger(Bytes a, Bytes b) { return _mm512_max_epu8(a, b); }
inline Ints greatest_of(Bytes a) {
  const __m512i pairs = larger(a, _mm512_srli_epi32(a, 16));
  return _mm512_and_si512(larger(pairs, _mm512_srli_epi32(pairs, 8)), _mm512_set1_epi32(0xFF));
}

}  // namespace
}  // namespace nuri::kernels::avx512
