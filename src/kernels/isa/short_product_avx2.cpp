#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_avx2.h"

namespace nuri::kernels::avx2 {
namespace {

using Exponents = __m256i;
inline Exponents exponents_of(const uint8_t* from) {
  const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  return _mm256_slli_epi16(_mm256_or_si256(wide, _mm256_slli_epi32(wide, 16)), 7);
}

struct Pair {
  Vec even, odd;
};
inline Pair pair_of(const uint8_t* bytes, const uint8_t* halves, Exponents greatest) {
  const __m256i parts = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
  const __m256i both = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(halves)));
  const __m256i distance =
      _mm256_and_si256(_mm256_or_si256(both, _mm256_slli_epi32(both, 12)), _mm256_set1_epi32(0x000F000F));
  const __m256i far = _mm256_cmpeq_epi16(distance, _mm256_set1_epi16(15));
  const __m256i exponent = _mm256_andnot_si256(far, _mm256_sub_epi16(greatest, _mm256_slli_epi16(distance, 7)));
  const __m256i sign = _mm256_and_si256(_mm256_slli_epi16(parts, 8), _mm256_set1_epi16(static_cast<int16_t>(0x8000)));
  const __m256i mantissa = _mm256_and_si256(parts, _mm256_set1_epi16(0x7F));
  const __m256i words = _mm256_or_si256(_mm256_or_si256(exponent, sign), mantissa);
  const __m256i high = _mm256_set1_epi32(static_cast<int>(0xFFFF0000));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(words, 16)), _mm256_castsi256_ps(_mm256_and_si256(words, high))};
}

}  // namespace
}  // namespace nuri::kernels::avx2

#include "kernels/isa/short_product.inc"
