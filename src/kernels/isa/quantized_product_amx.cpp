#include "kernels/isa/bytes_avx512.h"
#include "kernels/isa/quantized_blocks.h"
#include "kernels/isa/tiles_amx.h"

// The set of matrix tiles: few rows go the way of AVX-512 with VNNI.
#undef NURI_ISA_NAMESPACE
#define NURI_ISA_NAMESPACE amx

namespace nuri::kernels::amx {
namespace {

using UseSlabs = UseTiles;

// A tile of x is 16 of its rows, 64 columns of each; a tile of w the codes of a panel as they lie.
inline void multiply_slab(const uint8_t* w, const int8_t* x, int64_t x_group, int64_t steps, int32_t* sums) {
  constexpr int64_t kTileBytes = 1024, kRowBytes = kSlabRows * 4, kAheadSteps = 2;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const int64_t wrap = 2 * x_group - steps * kTileBytes;  // to the groups whose turn is next
  for (int64_t step = 0; step < steps; ++step, w += 2 * kTileBytes, x += kTileBytes) {
    _tile_loadd(4, x, 64);
    _tile_loadd(6, w, 64);
    _tile_dpbsud(0, 4, 6);
    _tile_loadd(5, x + x_group, 64);
    _tile_dpbsud(1, 5, 6);
    _tile_loadd(7, w + kTileBytes, 64);
    _tile_dpbsud(2, 4, 7);
    _tile_dpbsud(3, 5, 7);
    // Tiles from the second-level cache would be waited for; those of a whole group ahead would push out what is used.
    const int8_t* const ahead = x + kAheadSteps * kTileBytes + (step + kAheadSteps < steps ? 0 : wrap);
    for (int64_t line = 0; line < kTileBytes; line += 64) {
      prefetch(ahead + line);
      prefetch(ahead + x_group + line);
    }
  }
  _tile_stored(0, sums, kRowBytes);
  _tile_stored(1, sums + 16 * kSlabRows, kRowBytes);
  _tile_stored(2, sums + 16, kRowBytes);
  _tile_stored(3, sums + 16 * kSlabRows + 16, kRowBytes);
}

}  // namespace
}  // namespace nuri::kernels::amx

#include "kernels/isa/quantized_blocks.inc"
