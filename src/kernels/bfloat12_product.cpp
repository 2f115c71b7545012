#include <algorithm>
#include <vector>

#include "base/error.h"
#include "kernels/bfloat12.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/factors.h"
#include "kernels/few_rows.h"
#include "kernels/quantized.h"
#include "kernels/quantized_product.h"
#include "kernels/tile_product.h"

namespace nuri::kernels {
namespace {

// Rows of x as ShortProduct has them, in numbers of `type`.
template <class Number>
void pack_rows(int64_t m, int64_t k, const ConstRows& x, Element type, Number* packed) {
  const int64_t whole = count_groups(k) * kCodeGroup;
  std::vector<Number> row(static_cast<std::size_t>(k));
  std::fill_n(packed, m * whole, Number{});
  for (int64_t pass = 0; pass < rounded_passes(m); ++pass) {
    const int64_t from = rounded_pass(m, pass), count = rounded_pass(m, pass + 1) - from;
    for (int64_t i = 0; i < count; ++i) {
      convert(row_of(x.data, from + i, x.stride, x.type), x.type, row.data(), type, k);
      Number* const to = packed + from * whole + i * 2;
      for (int64_t j = 0; j < k; ++j) to[j / 2 * 2 * count + j % 2] = row[static_cast<std::size_t>(j)];
    }
  }
}

bool may_be_bfloat16(Element x, bool rounds) { return x == Element::bfloat16 || (x == Element::float32 && rounds); }
bool may_be_bfloat16(const ConstRows& x, std::span<const QuantizedFactor> factors) {
  return std::ranges::all_of(
      factors, [&](const auto& factor) { return may_be_bfloat16(x.type, factor.rounds && !factor.in_two); });
}

// Tiles that are vectors are multiplied no faster than panels, whose codes need not be laid out anew for them.
int64_t most_few_rows_before(bool tiles) {
  return tiles && active_isa() == Isa::amx ? most_few_rows(true) : most_few_rows(false);
}

void few_rows(int64_t m, int64_t k, const ConstRows& x, std::span<const QuantizedFactor> factors) {
  constexpr int64_t kLeastWork = 1 << 18;
  const bool pairs = has_tiles(active_isa()) && may_be_bfloat16(x, factors);
  static thread_local Scratch scratch;
  std::byte* const packed = scratch.of(m * count_groups(k) * kCodeGroup * 4);
  if (pairs) {
    pack_rows(m, k, x, Element::bfloat16, reinterpret_cast<uint16_t*>(packed));
  } else {
    pack_rows(m, k, x, Element::float32, reinterpret_cast<float*>(packed));
  }
  const auto kernel = pairs ? bf16::short_product : NURI_KERNEL(short_product);
  const auto job_of = [&](const QuantizedFactor& one) -> ShortProduct {
    const auto* codes = static_cast<const uint8_t*>(one.packed);
    return {{{one.y, one.epilogue},
             one.n,
             one.coding,
             codes,
             codes + count_panels(one.n) * count_groups(k) * group_code_bytes(one.coding)},
            m,
            k,
            packed};
  };
  const int64_t work = m * k * kPanelRows;
  over_factors(factors, kPanelRows, (kLeastWork + work - 1) / work,
               [&](const QuantizedFactor& factor, int64_t begin, int64_t end) {
                 run_behind_gate(factor, m, kPanelRows, begin, end, job_of, kernel);
               });
}

bool fits_tiles(int64_t n, int64_t k, Element x, bool rounds) { return may_be_bfloat16(x, rounds) && tiles_fit(n, k); }

TileFactor tile_factor(const QuantizedFactor& factor) {
  return {factor.n, {}, factor.y, factor.epilogue, nullptr, factor.packed, factor.in_two};
}

void in_tiles(int64_t m, int64_t k, const ConstRows& x, std::span<const QuantizedFactor> factors) {
  std::vector<TileFactor> jobs, gates;
  gates.reserve(factors.size());  // so that they stay where they are
  for (const QuantizedFactor& factor : factors) {
    TileFactor& job = jobs.emplace_back(tile_factor(factor));
    if (factor.gate) job.gate = &gates.emplace_back(tile_factor(*factor.gate));
  }
  tile_products(m, k, x, jobs);
}

}  // namespace

bool bfloat12_multiplies(int64_t m, int64_t n, int64_t k, Element x, bool rounds) {
  return m <= most_few_rows(false) || fits_tiles(n, k, x, rounds);
}

void bfloat12_products(int64_t m, int64_t k, const ConstRows& x, std::span<const QuantizedFactor> factors) {
  const bool tiles = std::ranges::all_of(
      factors, [&](const QuantizedFactor& factor) { return fits_tiles(factor.n, k, x.type, factor.rounds); });
  if (m <= most_few_rows_before(tiles)) return few_rows(m, k, x, factors);
  if (!tiles) throw Error(ErrorKind::internal, "quantized_products: found many rows for bfloat12 without tiles");
  in_tiles(m, k, x, factors);
}

}  // namespace nuri::kernels
