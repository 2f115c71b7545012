#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_avx2.h"

namespace nuri::kernels::avx2 {
namespace {

using Ints = __m256i;
using Bytes = __m256i;

inline Bytes load_bytes(const uint8_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
inline Bytes low_halves(Bytes pair) { return _mm256_and_si256(pair, _mm256_set1_epi8(0x0F)); }
inline Bytes high_halves(Bytes pair) { return low_halves(_mm256_srli_epi16(pair, 4)); }
inline Ints every(int32_t value) { return _mm256_set1_epi32(value); }
inline __m256i four(const int8_t* x) {
  int32_t bits;
  __builtin_memcpy(&bits, x, 4);
  return _mm256_set1_epi32(bits);
}
// Bytes at even and at odd places apart, as numbers of 16 bits: the sum of two products of 8 bits would not fit them.
inline Ints dot(Ints sum, Bytes codes, const int8_t* x) {
  const __m256i both = four(x);
  const __m256i even = _mm256_madd_epi16(_mm256_and_si256(codes, _mm256_set1_epi16(0xFF)),
                                         _mm256_srai_epi16(_mm256_slli_epi16(both, 8), 8));
  const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(codes, 8), _mm256_srai_epi16(both, 8));
  return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}
inline Ints dot_small(Ints sum, Bytes codes, const int8_t* x) {
  const __m256i pairs = _mm256_maddubs_epi16(codes, four(x));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
inline Vec to_floats(Ints sum) { return _mm256_cvtepi32_ps(sum); }
inline Ints to_ints(Vec a) { return _mm256_cvtps_epi32(a); }
inline Ints add_ints(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
inline Ints load_ints(const int32_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
inline void store_ints(int32_t* to, Ints a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a); }
inline void store_bytes(uint8_t* to, Bytes a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a); }
inline int32_t total_of(Ints a) {
  int32_t lane[kLanes], sum = 0;
  store_ints(lane, a);
  for (int32_t value : lane) sum += value;
  return sum;
}
inline void store_codes(int8_t* to, Ints a) {
  const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(halves, halves));
}

using Halves = __m256i;
inline Halves both(Ints a) {
  return _mm256_or_si256(_mm256_and_si256(a, _mm256_set1_epi32(0xFFFF)), _mm256_slli_epi32(a, 16));
}
// Numbers with 7 bits behind the point: those at even places, and those at odd ones, to bytes.
inline Bytes interleaved(Halves even, Halves odd) {
  const __m256i high = _mm256_set1_epi16(static_cast<int16_t>(0xFF00));
  return _mm256_or_si256(_mm256_srli_epi16(even, 7), _mm256_and_si256(_mm256_slli_epi16(odd, 1), high));
}
inline Bytes recoded(Bytes codes, Halves factor, Halves offset) {
  const __m256i even = _mm256_and_si256(codes, _mm256_set1_epi16(0xFF)), odd = _mm256_srli_epi16(codes, 8);
  return interleaved(_mm256_add_epi16(_mm256_mullo_epi16(even, factor), offset),
                     _mm256_add_epi16(_mm256_mullo_epi16(odd, factor), offset));
}
inline Bytes recoded_signed(Bytes codes, Halves gain, Halves factor, Halves offset) {
  const __m256i signs = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
  const __m256i even = _mm256_mullo_epi16(_mm256_slli_epi16(signs, 8), gain);
  const __m256i odd =
      _mm256_mullo_epi16(_mm256_and_si256(signs, _mm256_set1_epi16(static_cast<int16_t>(0xFF00))), gain);
  return interleaved(_mm256_add_epi16(_mm256_mulhrs_epi16(even, factor), offset),
                     _mm256_add_epi16(_mm256_mulhrs_epi16(odd, factor), offset));
}
inline Bytes distance(Bytes codes) { return _mm256_abs_epi8(_mm256_xor_si256(codes, _mm256_set1_epi8(-128))); }
inline Bytes larger(Bytes a, Bytes b) { return _mm256_max_epu8(a, b); }
inline Ints greatest_of(Bytes a) {
  const __m256i pairs = larger(a, _mm256_srli_epi32(a, 16));
  return _mm256_and_si256(larger(pairs, _mm256_srli_epi32(pairs, 8)), _mm256_set1_epi32(0xFF));
}

}  // namespace
}  // namespace nuri::kernels::avx2

#include "kernels/isa/quantized_product.inc"
#include "kernels/isa/quantized_slab.inc"
