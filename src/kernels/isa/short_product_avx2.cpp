#include "kernels/isa/bfloat12_octet.h"
#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_avx2.h"
// Behind it, since it needs the above.
#include "kernels/isa/short_pairs.inc"

namespace nuri::kernels::avx2 {
namespace {

using Bases = __m256i;
inline Bases bases_of(const uint8_t* greatest) {
  const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(greatest)));
  const __m256i both = _mm256_or_si256(wide, _mm256_slli_epi32(wide, 16));
  return _mm256_slli_epi16(_mm256_sub_epi16(both, _mm256_set1_epi16(kLeastDistance + 1)), 7);
}

struct Octet {
  __m256i low[2], high;
};
inline Octet octet_at(const uint8_t* from) {
  const auto load = [&](int64_t at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at)); };
  return {{load(0), load(kOctetLow)}, load(2 * kOctetLow)};
}

template <int kPair>
inline Pair pair_of(const Octet& octet, Bases bases) {
  const __m256i both = octet.low[kPair / 2];
  const __m256i low = kPair % 2 ? _mm256_srli_epi16(both, 8) : _mm256_and_si256(both, _mm256_set1_epi32(kLowBits));
  const __m256i turned =
      _mm256_or_si256(_mm256_srli_epi32(octet.high, 4 * kPair), _mm256_slli_epi32(octet.high, 32 - 4 * kPair));
  const __m256i bits = _mm256_set1_epi32(static_cast<int>(kHighBits));
  const __m256i codes = _mm256_or_si256(low, _mm256_and_si256(turned, bits)), none = _mm256_setzero_si256();
  const __m256i untold = _mm256_cmpeq_epi16(_mm256_and_si256(codes, _mm256_set1_epi16(kCodeExponent)), none);
  const __m256i words = _mm256_add_epi16(codes, _mm256_andnot_si256(untold, bases));
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xFFFF0000));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(words, 16)), _mm256_castsi256_ps(_mm256_and_si256(words, upper))};
}

}  // namespace
}  // namespace nuri::kernels::avx2

#include "kernels/isa/short_product.inc"
