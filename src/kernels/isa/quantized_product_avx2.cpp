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

}  // namespace
}  // namespace nuri::kernels::avx2

#include "kernels/isa/quantized_product.inc"
