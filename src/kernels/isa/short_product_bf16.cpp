#include "kernels/isa/jobs.h"
#include "kernels/isa/octet_avx512.h"

#undef NURI_ISA_NAMESPACE
#define NURI_ISA_NAMESPACE bf16

namespace nuri::kernels::bf16 {
namespace {

using namespace avx512;  // NOLINT: the vector of this file

using Pair = __m512bh;
template <int kPair>
inline Pair pair_of(const Octet& octet, Bases bases) {
  return (Pair)words_of<kPair>(octet, bases);
}

struct Beside {
  uint16_t even, odd;
};
inline float number_in(Beside beside, bool odd) { return widen(BFloat16{}, odd ? beside.odd : beside.even); }

struct Sum {
  Vec both;
};
inline Sum no_sum() { return {zero()}; }
inline void add_products(Sum& sum, const Pair& w, const Beside& x) {
  int32_t pair;
  __builtin_memcpy(&pair, &x, sizeof pair);
  sum.both = _mm512_dpbf16_ps(sum.both, (Pair)_mm512_set1_epi32(pair), w);
}
inline Vec total_of(const Sum& sum) { return sum.both; }

}  // namespace
}  // namespace nuri::kernels::bf16

#include "kernels/isa/short_product.inc"
