#include "kernels/tile_product.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/scratch.h"

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
  for (Element type : {x.type, factor.w.type, factor.y.type})
    if (type != Element::bfloat16) throw Error(ErrorKind::internal, "tile_products: expected bfloat16 alone");
  if ((m > 1 && (x.stride < k || factor.y.stride < factor.n)) || (factor.n > 1 && factor.w.stride < k))
    throw Error(ErrorKind::internal, "tile_products: found a stride that is shorter than a row");
}

const std::byte* row_of(const void* data, int64_t row, int64_t stride) {
  return static_cast<const std::byte*>(data) + row * stride * element_bytes(Element::bfloat16);
}

// Rows [first, first + rows) of all factors.
void multiply_chunk(int64_t first, int64_t rows, int64_t k, const ConstRows& x, std::span<const TileFactor> factors) {
  const int64_t groups = (rows + kGroup - 1) / kGroup;
  static thread_local Scratch scratch;
  std::byte* const packed = scratch.of(groups * kGroup * k * element_bytes(Element::bfloat16));
  const void* const from = row_of(x.data, first, x.stride);
  parallel_for(0, groups, std::max<int64_t>(1, (1 << 15) / (kGroup * k)), [&](int64_t begin, int64_t end) {
    amx::pack_tiles({from, x.stride, rows, k, packed}, begin, end);
  });
  for (const TileFactor& factor : factors) {
    TileProduct job{};
    job.m = rows, job.k = k, job.x = packed;
    job.w = factor.w.data, job.w_stride = factor.w.stride;
    job.y = const_cast<std::byte*>(row_of(factor.y.data, first, factor.y.stride)), job.y_stride = factor.y.stride;
    job.bias = factor.bias.data, job.bias_type = factor.bias.type, job.bend = factor.bend;
    parallel_for(0, factor.n / kTileStep, 4, [&](int64_t begin, int64_t end) {
      static thread_local Scratch sums;
      TileProduct own = job;
      own.sums = reinterpret_cast<float*>(sums.of(kTileSums * static_cast<int64_t>(sizeof(float))));
      amx::tile_product(own, begin, end);
    });
  }
}

}  // namespace

bool tiles_fit(int64_t n, int64_t k) {
  return active_isa() == Isa::amx && n > 0 && k > 0 && n % kTileStep == 0 && k % kTileStep == 0;
}

void tile_products(int64_t m, int64_t k, ConstRows x, std::span<const TileFactor> factors) {
  for (const TileFactor& factor : factors) check(m, k, x, factor);
  const int64_t fitting = kPackedBytes / (2 * std::max<int64_t>(k, 1)) / kLeastChunk * kLeastChunk;
  const int64_t chunk = std::max(fitting, kLeastChunk);
  for (int64_t first = 0; first < m; first += chunk) multiply_chunk(first, std::min(chunk, m - first), k, x, factors);
}

}  // namespace nuri::kernels
