#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_avx512.h"

// Of the vectors of AVX-512 with products of bfloat16 (AVX512_BF16).
#undef NURI_ISA_NAMESPACE
#define NURI_ISA_NAMESPACE bf16

namespace nuri::kernels::bf16 {
namespace {
using namespace avx512;  // NOLINT: the vector of this file
}
}  // namespace nuri::kernels::bf16

#include "kernels/isa/paged_products.inc"

namespace nuri::kernels::bf16 {
namespace {

inline __m512bh pairs_at(const void* from) { return (__m512bh)_mm512_loadu_si512(from); }

// Of a cache of bfloat16, with queries and weights rounded to it: products of pairs, which are columns for the scores
// and positions for the sums.
template <int M>
class Products<BFloat16, M> {
 public:
  Products(const float* q, int64_t dim) : dim_(dim) {
    for (int m = 0; m < M; ++m)
      for (int64_t d = 0; d < dim; d += kLanes, q += kLanes) round(q, q_[m] + d);
  }

  void scores(const unsigned char* keys, int64_t ahead, float* scores) const {
    static_assert(M <= 8);
    if constexpr (M >= 4) score_tile<4>(0, keys, ahead, scores);
    if constexpr (M == 8) score_tile<4>(4, keys, ahead, scores);
    if constexpr (M % 4 != 0) score_tile<M % 4>(M / 4 * 4, keys, ahead, scores);
  }

  void add(const unsigned char* values, const BlockRows* parts, int64_t count, const float* weights,
           const float* shrink, float* sums) const {
    uint16_t rounded[M * kChunk];
    for (int m = 0; m < M; ++m)
      for (int64_t j = 0; j < count * kBlockPositions; j += kLanes)
        round(weights + m * kChunk + j, rounded + m * kChunk + j);
    constexpr int kWide = M <= 2 ? 4 : M <= 4 ? 2 : 1;  // pairs of vectors, whose sums fill half of the registers
    int64_t d = 0;
    for (; d + kWide * kStep <= dim_; d += kWide * kStep)
      add_columns<kWide>(values, parts, count, rounded, shrink, sums, d);
    for (; d < dim_; d += kStep) add_columns<1>(values, parts, count, rounded, shrink, sums, d);
  }

 private:
  static constexpr int kStep = 2 * kLanes;

  static void round(const float* from, uint16_t* to) {
    _mm256_storeu_si256((__m256i*)to, (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from)));
  }

  template <int N>
  void score_tile(int query, const unsigned char* keys, int64_t ahead, float* scores) const {
    constexpr int kRows = 4, kGroups = kBlockPositions / kRows;
    const int64_t bytes = dim_ * BFloat16::kBytes;
    Vec fours[N][kGroups];
    for (int g = 0; g < kGroups; ++g, keys += kRows * bytes) {
      Vec sum[N][kRows];
      NURI_UNROLL for (int n = 0; n < N; ++n) NURI_UNROLL for (int r = 0; r < kRows; ++r) sum[n][r] = zero();
      for (int64_t d = 0; d < dim_; d += kStep) {
        __m512bh key[kRows];
        NURI_UNROLL for (int r = 0; r < kRows; ++r) {
          const unsigned char* const at = keys + r * bytes + d * BFloat16::kBytes;
          key[r] = pairs_at(at);
          if (query == 0) fetch(at + ahead);
        }
        NURI_UNROLL for (int n = 0; n < N; ++n) {
          const __m512bh input = pairs_at(q_[query + n] + d);
          NURI_UNROLL for (int r = 0; r < kRows; ++r) sum[n][r] = _mm512_dpbf16_ps(sum[n][r], key[r], input);
        }
      }
      NURI_UNROLL for (int n = 0; n < N; ++n) fours[n][g] = sum_of_four(sum[n][0], sum[n][1], sum[n][2], sum[n][3]);
    }
    NURI_UNROLL for (int n = 0; n < N; ++n) store(Float32{}, scores + (query + n) * kChunk, join_sums(fours[n]));
  }

  // Columns [d, d + 32 N). Of two rows of values beside each other unpacking makes pairs, whose columns lie by turns of
  // four in the two vectors; the sums lie so meanwhile.
  template <int N>
  void add_columns(const unsigned char* values, const BlockRows* parts, int64_t count, const uint16_t* weights,
                   const float* shrink, float* sums, int64_t d) const {
    Vec sum[M][N][2];
    NURI_UNROLL for (int m = 0; m < M; ++m) NURI_UNROLL for (int n = 0; n < N; ++n) {
      const float* const from = sums + m * dim_ + d + n * kStep;
      const Vec low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + kLanes), factor = broadcast(shrink[m]);
      sum[m][n][0] = mul(_mm512_shuffle_f32x4(low, high, 0x88), factor);
      sum[m][n][1] = mul(_mm512_shuffle_f32x4(low, high, 0xDD), factor);
    }
    for (int64_t i = 0; i < count; ++i, weights += kBlockPositions) {
      for (int64_t j = 0; j < kBlockPositions; j += 2) add_pair<N>(values, parts[i], j, weights + j, sum, d);
    }
    NURI_UNROLL for (int m = 0; m < M; ++m) NURI_UNROLL for (int n = 0; n < N; ++n) {
      float* const to = sums + m * dim_ + d + n * kStep;
      const Vec low = _mm512_shuffle_f32x4(sum[m][n][0], sum[m][n][1], 0x44);
      const Vec high = _mm512_shuffle_f32x4(sum[m][n][0], sum[m][n][1], 0xEE);
      _mm512_storeu_ps(to, _mm512_shuffle_f32x4(low, low, 0xD8));
      _mm512_storeu_ps(to + kLanes, _mm512_shuffle_f32x4(high, high, 0xD8));
    }
  }

  // Rows j and j + 1 of a part. What lies outside of it may be no numbers, whose product with a weight of nothing is
  // none either.
  template <int N>
  void add_pair(const unsigned char* values, const BlockRows& part, int64_t j, const uint16_t* weights,
                Vec (&sum)[M][N][2], int64_t d) const {
    const int64_t bytes = dim_ * BFloat16::kBytes;
    const bool first = j >= part.from && j < part.to, second = j + 1 >= part.from && j + 1 < part.to;
    const unsigned char* const at = values + (part.first + j) * bytes + d * BFloat16::kBytes;
    const unsigned char* const next = at + (part.next - part.first) * bytes;
    __m512bh pairs[N][2];
    NURI_UNROLL for (int n = 0; n < N; ++n) {
      const __m512i one = first ? _mm512_loadu_si512(at + n * 64) : _mm512_setzero_si512();
      const __m512i two = second ? _mm512_loadu_si512(at + bytes + n * 64) : _mm512_setzero_si512();
      pairs[n][0] = (__m512bh)_mm512_unpacklo_epi16(one, two);
      pairs[n][1] = (__m512bh)_mm512_unpackhi_epi16(one, two);
      fetch(next + n * 64);
      fetch(next + bytes + n * 64);
    }
    NURI_UNROLL for (int m = 0; m < M; ++m) {
      int32_t both;
      __builtin_memcpy(&both, weights + m * kChunk, sizeof both);
      const __m512bh weight = (__m512bh)_mm512_set1_epi32(both);
      NURI_UNROLL for (int n = 0; n < N; ++n) NURI_UNROLL for (int half = 0; half < 2; ++half) sum[m][n][half] =
          _mm512_dpbf16_ps(sum[m][n][half], weight, pairs[n][half]);
    }
  }

  alignas(64) uint16_t q_[M][kMostPairedDim];
  int64_t dim_;
};

}  // namespace
}  // namespace nuri::kernels::bf16

#include "kernels/isa/paged_softmax.inc"

namespace nuri::kernels::bf16 {

void paged_head(const PagedHead& job) {
  over_queries(job, [&](auto size, int64_t query) { attend<BFloat16, false, decltype(size)::value>(job, query); });
}

}  // namespace nuri::kernels::bf16
