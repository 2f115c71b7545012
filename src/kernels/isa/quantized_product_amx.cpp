#include "kernels/isa/bytes_avx512.h"
#include "kernels/isa/quantized_blocks.h"
#include "kernels/isa/tiles_amx.h"

// Few rows go the way of AVX-512 with VNNI.

namespace nuri::kernels::amx {
namespace {

using UseSlabs = UseTiles;

// A tile of x is 16 of its rows, 64 columns of each; a tile of w the codes of a panel as they lie.
template <class Meanwhile>
inline void multiply_slab(const uint8_t* w, const int8_t* x, int64_t x_group, int64_t steps, int32_t* sums, bool first,
                          const Meanwhile& meanwhile) {
  constexpr int64_t kTileBytes = 1024, kRowBytes = kSlabRows * 4;
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, kRowBytes);
    _tile_loadd(1, sums + 16 * kSlabRows, kRowBytes);
    _tile_loadd(2, sums + 16, kRowBytes);
    _tile_loadd(3, sums + 16 * kSlabRows + 16, kRowBytes);
  }
  for (int64_t step = 0; step < steps; ++step, w += 2 * kTileBytes, x += kTileBytes) {
    _tile_loadd(4, x, 64);
    _tile_loadd(6, w, 64);
    _tile_dpbsud(0, 4, 6);
    _tile_loadd(7, w + kTileBytes, 64);
    _tile_dpbsud(2, 4, 7);
    _tile_loadd(5, x + x_group, 64);
    _tile_dpbsud(1, 5, 6);
    _tile_dpbsud(3, 5, 7);
    meanwhile();
  }
  _tile_stored(0, sums, kRowBytes);
  _tile_stored(1, sums + 16 * kSlabRows, kRowBytes);
  _tile_stored(2, sums + 16, kRowBytes);
  _tile_stored(3, sums + 16 * kSlabRows + 16, kRowBytes);
}

}  // namespace
}  // namespace nuri::kernels::amx

#include "kernels/isa/quantized_blocks.inc"
