#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_avx2.h"

namespace nuri::kernels::avx2 {
namespace {

using Sums = __m256i;

inline Sums all_equal(int32_t value) { return _mm256_set1_epi32(value); }
inline Sums add_product(Sums sums, const uint8_t* from, Sums weight) {
  const Sums bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  return _mm256_add_epi32(sums, _mm256_mullo_epi32(bytes, weight));
}
inline void store_bytes(uint8_t* to, Sums sums) {
  sums = _mm256_srai_epi32(sums, kWeightBits);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
}

}  // namespace
}  // namespace nuri::kernels::avx2

#include "kernels/isa/weighted_bytes.inc"
