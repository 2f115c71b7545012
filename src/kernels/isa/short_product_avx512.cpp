#include "kernels/isa/jobs.h"
#include "kernels/isa/octet_avx512.h"
#include "kernels/isa/short_pairs.inc"

namespace nuri::kernels::avx512 {
namespace {

template <int kPair>
inline Pair pair_of(const Octet& octet, Bases bases) {
  const __m512i words = words_of<kPair>(octet, bases), upper = _mm512_set1_epi32(static_cast<int>(0xFFFF0000));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(words, 16)), _mm512_castsi512_ps(_mm512_and_si512(words, upper))};
}

}  // namespace
}  // namespace nuri::kernels::avx512

#include "kernels/isa/short_product.inc"
