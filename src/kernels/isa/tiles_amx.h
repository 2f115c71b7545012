#pragma once

#include "kernels/isa/tiles_avx512.h"

// Tiles in the registers of AMX.
#undef NURI_ISA_NAMESPACE
#define NURI_ISA_NAMESPACE amx

namespace nuri::kernels::amx {
namespace {

using namespace avx512;  // NOLINT: the vector of these files

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Tiles for the time of a kernel.
class UseTiles {
 public:
  UseTiles() {
    // On no stack: GCC 12 believes that the instruction reads 8 bytes, and leaves out the stores of the others.
    static constexpr TileConfig kConfig;
    _tile_loadconfig(&kConfig);
  }
  ~UseTiles() { _tile_release(); }
  UseTiles(const UseTiles&) = delete;
  UseTiles& operator=(const UseTiles&) = delete;
};

constexpr int64_t kBlockSteps = 8;  // 16 KiB of the weight, which stay in the first-level cache

// Of whole tiles, whatever their extent.
template <bool pair, class Meanwhile>
inline void multiply(const uint16_t* a, const Extent& extent, const TilesB& b, float* sums, int64_t sums_a,
                     int64_t sums_b, bool first, const Meanwhile& meanwhile) {
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    if (pair) _tile_zero(2);
    if (pair) _tile_zero(3);
  } else {
    _tile_loadd(0, sums, 64);
    _tile_loadd(1, sums + sums_a, 64);
    if (pair) _tile_loadd(2, sums + sums_b, 64);
    if (pair) _tile_loadd(3, sums + sums_a + sums_b, 64);
  }
  for (int64_t step = 0; step < extent.steps(); ++step, a += 2 * kTileNumbers) {
    _tile_loadd(4, a, 64);
    _tile_loadd(5, a + kTileNumbers, 64);
    for (int64_t part = 0; part < b.parts(); ++part) {
      const uint16_t* const beside = b.tiles + part * b.rest + step * kTileNumbers;
      _tile_loadd(6, beside, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 5, 6);
      if (pair) {
        _tile_loadd(7, beside + b.pair, 64);
        _tile_dpbf16ps(2, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    meanwhile(step);
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + sums_a, 64);
  if (pair) _tile_stored(2, sums + sums_b, 64);
  if (pair) _tile_stored(3, sums + sums_a + sums_b, 64);
}

}  // namespace
}  // namespace nuri::kernels::amx
