#pragma once

#include "kernels/isa/vector_avx512.h"

// bfloat16 in 12 bits (kernels/coding.h); see short_product.inc.
namespace nuri::kernels::avx512 {
namespace {

// Of a row each, in both halves of a word of 32 bits, where bfloat16 has them.
using Exponents = __m512i;
inline Exponents exponents_of(const uint8_t* from) {
  const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  return _mm512_slli_epi16(_mm512_or_si512(wide, _mm512_slli_epi32(wide, 16)), 7);
}
// Two neighbouring columns of 16 rows, as bfloat16.
inline __m512i words_of(const uint8_t* bytes, const uint8_t* halves, Exponents greatest) {
  const __m512i parts = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
  const __m512i both = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
  const __m512i distance =
      _mm512_and_si512(_mm512_or_si512(both, _mm512_slli_epi32(both, 12)), _mm512_set1_epi32(0x000F000F));
  const __mmask32 near = _mm512_cmpneq_epi16_mask(distance, _mm512_set1_epi16(15));
  const __m512i exponent = _mm512_maskz_sub_epi16(near, greatest, _mm512_slli_epi16(distance, 7));
  // a | (b & mask), twice: the sign, and the mantissa.
  const __m512i sign = _mm512_set1_epi16(static_cast<int16_t>(0x8000)), mantissa = _mm512_set1_epi16(0x7F);
  return _mm512_ternarylogic_epi32(_mm512_ternarylogic_epi32(exponent, _mm512_slli_epi16(parts, 8), sign, 0xF8), parts,
                                   mantissa, 0xF8);
}

struct Pair {
  Vec even, odd;
};
inline Pair pair_of(const uint8_t* bytes, const uint8_t* halves, Exponents greatest) {
  const __m512i words = words_of(bytes, halves, greatest), high = _mm512_set1_epi32(static_cast<int>(0xFFFF0000));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(words, 16)), _mm512_castsi512_ps(_mm512_and_si512(words, high))};
}

}  // namespace
}  // namespace nuri::kernels::avx512
