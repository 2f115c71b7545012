#include "kernels/isa/bytes_avx512.h"
#include "kernels/isa/jobs.h"

namespace nuri::kernels::avx512 {
namespace {

// Bytes at even and at odd places apart, as numbers of 16 bits: the sum of two products of 8 bits would not fit them.
inline Ints dot(Ints sum, Bytes codes, const int8_t* x) {
  const __m512i both = four(x);
  const __m512i even = _mm512_madd_epi16(_mm512_and_si512(codes, _mm512_set1_epi16(0xFF)),
                                         _mm512_srai_epi16(_mm512_slli_epi16(both, 8), 8));
  const __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(codes, 8), _mm512_srai_epi16(both, 8));
  return _mm512_add_epi32(sum, _mm512_add_epi32(even, odd));
}
inline Ints dot_small(Ints sum, Bytes codes, const int8_t* x) {
  const __m512i pairs = _mm512_maddubs_epi16(codes, four(x));
  return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

}  // namespace
}  // namespace nuri::kernels::avx512

#include "kernels/isa/quantized_product.inc"
#include "kernels/isa/quantized_slab.inc"
