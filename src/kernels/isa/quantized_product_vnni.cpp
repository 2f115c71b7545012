#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_avx512.h"

// AVX-512 with VNNI: all but the products of bytes is that of AVX-512.
#undef NURI_ISA_NAMESPACE
#define NURI_ISA_NAMESPACE vnni

namespace nuri::kernels::vnni {
namespace {

using namespace avx512;

using Ints = __m512i;
using Bytes = __m512i;

inline Bytes load_bytes(const uint8_t* from) { return _mm512_loadu_si512(from); }
inline Bytes low_halves(Bytes pair) { return _mm512_and_si512(pair, _mm512_set1_epi8(0x0F)); }
inline Bytes high_halves(Bytes pair) { return low_halves(_mm512_srli_epi16(pair, 4)); }
inline Ints every(int32_t value) { return _mm512_set1_epi32(value); }
inline Ints dot(Ints sum, Bytes codes, const int8_t* x) {
  int32_t four;
  __builtin_memcpy(&four, x, 4);
  return _mm512_dpbusd_epi32(sum, codes, _mm512_set1_epi32(four));
}
inline Ints dot_small(Ints sum, Bytes codes, const int8_t* x) { return dot(sum, codes, x); }
inline Vec to_floats(Ints sum) { return _mm512_cvtepi32_ps(sum); }

}  // namespace
}  // namespace nuri::kernels::vnni

#include "kernels/isa/quantized_product.inc"
