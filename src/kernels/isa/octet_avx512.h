#pragma once

#include "kernels/isa/bfloat12_octet.h"
#include "kernels/isa/vector_avx512.h"

// How the sets of AVX-512 read bfloat12.
namespace nuri::kernels::avx512 {
namespace {

// What is added to codes, in both halves of a word of 32 bits.
using Bases = __m512i;
inline Bases bases_of(const uint8_t* greatest) {
  const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(greatest)));
  const __m512i both = _mm512_or_si512(wide, _mm512_slli_epi32(wide, 16));
  return _mm512_slli_epi16(_mm512_sub_epi16(both, _mm512_set1_epi16(kLeastDistance + 1)), 7);
}

struct Octet {
  __m512i low[2], high;
};
inline Octet octet_at(const uint8_t* from) {
  return {{_mm512_loadu_si512(from), _mm512_loadu_si512(from + kOctetLow)}, _mm512_loadu_si512(from + 2 * kOctetLow)};
}
// Two neighbouring columns of 16 rows, as bfloat16.
template <int kPair>
inline __m512i words_of(const Octet& octet, Bases bases) {
  const __m512i both = octet.low[kPair / 2];
  const __m512i low = kPair % 2 ? _mm512_srli_epi16(both, 8) : _mm512_and_si512(both, _mm512_set1_epi32(kLowBits));
  const __m512i high = _mm512_ror_epi32(octet.high, 4 * kPair);
  // low | (high & bits)
  const __m512i codes = _mm512_ternarylogic_epi32(low, high, _mm512_set1_epi32(static_cast<int>(kHighBits)), 0xF8);
  const __mmask32 told = _mm512_test_epi16_mask(codes, _mm512_set1_epi16(kCodeExponent));
  return _mm512_mask_add_epi16(codes, told, codes, bases);
}

}  // namespace
}  // namespace nuri::kernels::avx512
