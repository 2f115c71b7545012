#include "kernels/tile_product.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "base/error.h"
#include "kernels/dispatch.h"
#include "kernels/factors.h"

namespace nuri::kernels {
namespace {

constexpr int64_t kGroup = kTileRows;                  // rows of x that a tile holds
constexpr int64_t kPackedBytes = 8 << 20;              // of x at a time
constexpr int64_t kLeastChunk = kTileGroups * kGroup;  // rows: a block of the kernel's own

void check(int64_t m, int64_t k, const ConstRows& x, const TileFactor& factor) {
  if (m < 0 || !tiles_fit(factor.n, k))
    throw Error(ErrorKind::internal, fmt::format("tile_products: sizes: found m {}, n {}, k {}, expected n and k in "
                                                 "multiples of {} and a processor with tiles",
                                                 m, factor.n, k, kTileStep));
  if (x.type == Element::float16 || (!factor.bfloat12 && factor.w.type != Element::bfloat16))
    throw Error(ErrorKind::internal, "tile_products: expected x of float32 or bfloat16, and weights of bfloat16");
  if ((m > 1 && (x.stride < k || factor.y.stride < factor.n)) ||
      (factor.n > 1 && !factor.bfloat12 && factor.w.stride < k))
    throw Error(ErrorKind::internal, "tile_products: found a stride that is shorter than a row");
}

// Rows [first, first + rows) of all factors.
void multiply_chunk(int64_t first, int64_t rows, int64_t k, const ConstRows& x, std::span<const TileFactor> factors) {
  const int64_t groups = (rows + kGroup - 1) / kGroup;
  const int64_t numbers = groups * kGroup * k, bytes = numbers * element_bytes(Element::bfloat16);
  const bool any_in_two = x.type == Element::float32 && std::ranges::any_of(factors, &TileFactor::in_two);
  static thread_local Scratch scratch;
  std::byte* const packed = scratch.of(any_in_two ? 2 * bytes : bytes);
  const void* const from = row_of(x.data, first, x.stride, x.type);
  const auto pack = NURI_TILE_KERNEL(pack_tiles);
  const auto product = NURI_TILE_KERNEL(tile_product);
  parallel_for(0, groups, std::max<int64_t>(1, (1 << 15) / (kGroup * k)), [&](int64_t begin, int64_t end) {
    pack({from, x.type, x.stride, rows, k, packed}, begin, end);
    if (any_in_two) pack({from, x.type, x.stride, rows, k, packed + bytes, /*rest=*/true}, begin, end);
  });
  over_factors(factors, kTileStep, 4, [&](const TileFactor& factor, int64_t begin, int64_t end) {
    static thread_local Scratch own;
    auto* const sums = reinterpret_cast<float*>(own.of(kTileSums * static_cast<int64_t>(sizeof(float))));
    run_behind_gate(
        factor, rows, kTileStep, begin, end,
        [&](const TileFactor& one) -> TileProduct {
          const auto* codes = static_cast<const uint8_t*>(one.bfloat12);
          const int64_t all = one.n / kPanelRows * (k / kCodeGroup) * group_code_bytes(Coding::bfloat12);
          return {result_from(first, one.y, one.epilogue),
                  rows,
                  k,
                  packed,
                  any_in_two && factor.in_two ? numbers : 0,
                  codes ? nullptr : one.w.data,
                  one.w.stride,
                  codes,
                  codes ? codes + all : nullptr,
                  sums};
        },
        product);
  });
}

}  // namespace

bool tiles_fit(int64_t n, int64_t k) {
  return has_tiles(active_isa()) && n > 0 && k > 0 && n % kTileStep == 0 && k % kTileStep == 0;
}

void tile_products(int64_t m, int64_t k, ConstRows x, std::span<const TileFactor> factors) {
  for (const TileFactor& factor : factors)
    check_with_gate("tile_products", factor, [&](const TileFactor& one) { check(m, k, x, one); });
  const int64_t fitting = kPackedBytes / (2 * std::max<int64_t>(k, 1)) / kLeastChunk * kLeastChunk;
  const int64_t chunk = std::max(fitting, kLeastChunk);
  for (int64_t first = 0; first < m; first += chunk) multiply_chunk(first, std::min(chunk, m - first), k, x, factors);
}

}  // namespace nuri::kernels
