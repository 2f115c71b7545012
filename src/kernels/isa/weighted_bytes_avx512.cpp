#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_avx512.h"

namespace nuri::kernels::avx512 {
namespace {

using Sums = __m512i;

inline Sums all_equal(int32_t value) { return _mm512_set1_epi32(value); }
inline Sums add_product(Sums sums, const uint8_t* from, Sums weight) {
  const Sums bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  return _mm512_add_epi32(sums, _mm512_mullo_epi32(bytes, weight));
}
inline void store_bytes(uint8_t* to, Sums sums) {
  sums = _mm512_max_epi32(_mm512_srai_epi32(sums, kWeightBits), _mm512_setzero_si512());
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtusepi32_epi8(sums));
}

}  // namespace
}  // namespace nuri::kernels::avx512

#include "kernels/isa/weighted_bytes.inc"
