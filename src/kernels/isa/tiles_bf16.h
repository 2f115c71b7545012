#pragma once

#include "kernels/isa/tiles_avx512.h"

// Tiles in the vectors of AVX-512 with products of bfloat16 (AVX512_BF16).
#undef NURI_ISA_NAMESPACE
#define NURI_ISA_NAMESPACE bf16

namespace nuri::kernels::bf16 {
namespace {

using namespace avx512;  // NOLINT: the vector of these files

struct UseTiles {
  UseTiles() {}  // nothing
};

constexpr int kRowsAtOnce = 8;  // of a tile A: the sums of two tiles B fill half of the registers
// 36 KiB of the weight: to load and store sums more often costs more than the second-level cache.
constexpr int64_t kBlockSteps = 18;

inline __m512bh pairs_at(const void* from) { return (__m512bh)_mm512_load_si512(from); }
// Two numbers beside each other, in every lane.
inline __m512bh pair_everywhere(const uint16_t* from) {
  int32_t both;
  __builtin_memcpy(&both, from, sizeof both);
  return (__m512bh)_mm512_set1_epi32(both);
}

// kRowsAtOnce rows of multiply(): sums [kPairs tiles B], `sums_b` floats apart.
template <int kPairs>
inline void multiply_rows(const uint16_t* a, int64_t columns, const TilesB& b, float* sums, int64_t sums_b,
                          bool first) {
  Vec sum[kPairs][kRowsAtOnce];
  NURI_UNROLL for (int pair = 0; pair < kPairs; ++pair) NURI_UNROLL for (int row = 0; row < kRowsAtOnce; ++row)
      sum[pair][row] = first ? zero() : _mm512_load_ps(sums + pair * sums_b + row * 16);
  for (int64_t part = 0; part < b.parts(); ++part) {
    const uint16_t *step_a = a, *step_b = b.tiles + part * b.rest;
    for (int64_t left = columns; left > 0; left -= kTileStep, step_a += 2 * kTileNumbers, step_b += kTileNumbers) {
      for (int64_t i = 0; i < least(left, kTileStep); i += 2) {
        __m512bh beside[kPairs];
        NURI_UNROLL for (int pair = 0; pair < kPairs; ++pair) beside[pair] = pairs_at(step_b + pair * b.pair + i * 16);
        NURI_UNROLL for (int row = 0; row < kRowsAtOnce; ++row) {
          const __m512bh numbers = pair_everywhere(step_a + row * kTileStep + i);
          NURI_UNROLL for (int pair = 0; pair < kPairs; ++pair) sum[pair][row] =
              _mm512_dpbf16_ps(sum[pair][row], numbers, beside[pair]);
        }
      }
    }
  }
  NURI_UNROLL for (int pair = 0; pair < kPairs; ++pair) NURI_UNROLL for (int row = 0; row < kRowsAtOnce; ++row)
      _mm512_store_ps(sums + pair * sums_b + row * 16, sum[pair][row]);
}

template <bool pair, class Meanwhile>
inline void multiply(const uint16_t* a, const Extent& extent, const TilesB& b, float* sums, int64_t sums_a,
                     int64_t sums_b, bool first, const Meanwhile& meanwhile) {
  for (int64_t step = 0; step < extent.steps(); ++step) meanwhile(step);
  for (int64_t row = 0; row < extent.rows; row += kRowsAtOnce)
    multiply_rows<pair ? 2 : 1>(a + row * kTileStep, extent.columns, b, sums + row / 16 * sums_a + row % 16 * 16,
                                sums_b, first);
}

}  // namespace
}  // namespace nuri::kernels::bf16
