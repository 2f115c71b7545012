#pragma once

#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_avx512.h"

// What the kernels in matrix tiles share. A tile holds 16 rows of 64 bytes. The product of tile A, 32 columns of 16
// rows of bfloat16, and tile B, [16 pairs of rows, 16 columns, 2], is added to a tile of float32, [16 rows of A, 16
// columns of B].
//
// How tiles are multiplied differs. tiles_amx.h and tiles_bf16.h have UseTiles, which a thread holds meanwhile, the
// constant kBlockSteps, how many steps of a weight tile_product takes at a time, and
//   void multiply<pair>(a, Extent extent, TilesB b, float* sums, int64_t sums_a, int64_t sums_b, bool first, meanwhile)
// sums [2 tiles A][pair ? 2 : 1 tiles B], `sums_a` and `sums_b` floats apart, from zero on if `first`, += products of
// the steps of `extent`: tiles A lie one step after the other, two beside each other; tiles B too. `meanwhile` is
// called with each step.

namespace nuri::kernels::avx512 {
namespace {

constexpr int64_t kTileFloats = 256, kTileNumbers = 512;

inline int64_t whole(int64_t count, int64_t size) { return (count + size - 1) / size; }

// What multiply() needs of its tiles A: the first rows of the two, and the first columns of all steps. What is behind
// may be multiplied too: columns there are zeros, in tiles B as well, and sums of rows there are of no meaning.
struct Extent {
  int64_t rows, columns;
  int64_t steps() const { return whole(columns, kTileStep); }
};

struct TilesB {
  const uint16_t* tiles;
  int64_t pair;      // numbers to the other of a pair
  int64_t rest = 0;  // and to others that lie in the same way and are multiplied by the same A; 0: there are none
  int64_t parts() const { return rest ? 2 : 1; }
};

inline const uint16_t* halves(const void* data) { return static_cast<const uint16_t*>(data); }
inline uint16_t* halves(void* data) { return static_cast<uint16_t*>(data); }

// The matrix of 32-bit words [16, 16] with rows and columns exchanged.
inline void transpose(__m512i (&r)[16]) {
  __m512i t[16];
  NURI_UNROLL for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  NURI_UNROLL for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  NURI_UNROLL for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xDD);
  }
  NURI_UNROLL for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD);
  }
}

// Calls body(Float32{}) or body(BFloat16{}).
template <class Body>
inline void with_tile_element(Element type, const Body& body) {
  if (type == Element::float32) {
    body(Float32{});
  } else {
    body(BFloat16{});
  }
}

// `count` numbers at `from` as bfloat16, zeros behind them: up to 32, less than none as none.
inline __m512i load_numbers(BFloat16, const void* from, int64_t count) {
  if (count >= kTileStep) return _mm512_loadu_si512(from);
  return count > 0 ? _mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << count) - 1), from)
                   : _mm512_setzero_si512();
}
inline __m512i load_numbers(Float32 type, const void* from, int64_t count) {
  const auto half = [&](int64_t begin) {
    const int64_t left = least(count - begin, kLanes);
    const auto* const at = static_cast<const float*>(from) + begin;
    return narrow_bf16(left == kLanes ? load(type, at) : left > 0 ? load_some(type, at, left) : zero());
  };
  return _mm512_inserti64x4(_mm512_castsi256_si512(half(0)), half(kLanes), 1);
}

// Of numbers of float32 what rounding them to bfloat16 leaves, rounded itself.
struct Rest {
  static constexpr int64_t kBytes = 4;
};
inline __m512i load_numbers(Rest, const void* from, int64_t count) {
  const auto half = [&](int64_t begin) {
    const auto* const at = static_cast<const float*>(from) + begin;
    const Vec wide = count - begin > 0 ? load_some(Float32{}, at, least(count - begin, kLanes)) : zero();
    return narrow_bf16(wide - widen_bf16(narrow_bf16(wide)));
  };
  return _mm512_inserti64x4(_mm512_castsi256_si512(half(0)), half(kLanes), 1);
}

// Tile B of 16 rows in memory as its columns: `rows` of them from `from` on, `numbers` of each, zeros for the rest.
template <class E>
inline void pack_columns(E type, const unsigned char* from, int64_t stride, int64_t rows, int64_t numbers,
                         uint16_t* tile) {
  __m512i r[16];
  for (int64_t row = 0; row < 16; ++row)
    r[row] = row < rows ? load_numbers(type, from + row * stride * E::kBytes, numbers) : _mm512_setzero_si512();
  transpose(r);
  NURI_UNROLL for (int i = 0; i < 16; ++i) _mm512_store_si512(tile + i * 32, r[i]);
}

}  // namespace
}  // namespace nuri::kernels::avx512
