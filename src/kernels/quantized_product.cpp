#include "kernels/quantized_product.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "base/error.h"
#include "kernels/bfloat12.h"
#include "kernels/cpu.h"
#include "kernels/factors.h"
#include "kernels/isa/jobs.h"
#include "kernels/isa/quantized_blocks.h"
#include "kernels/quantized.h"
#include "kernels/rotation.h"

namespace nuri::kernels {
namespace {

static_assert(kCodedBlock == kBlockColumns && kBlockColumns % kGroupedBlock == 0 && kGroupedBlock % kStepColumns == 0);

struct Functions {
  void (*round_rows)(const RoundedRows&, int64_t, int64_t);
  void (*product)(const QuantizedProduct&, int64_t, int64_t);
  void (*round_group)(const BlockedRows&, int64_t, const ConstRows&);
  void (*blocked_product)(const BlockedProduct&, int64_t, int64_t);
};

Functions functions() {
  switch (active_isa()) {
    case Isa::amx:
      return {vnni::round_rows, vnni::quantized_product, amx::round_group, amx::blocked_product};
    case Isa::avx512_bf16:
    case Isa::avx512_vnni:
      return {vnni::round_rows, vnni::quantized_product, vnni::round_group, vnni::blocked_product};
    case Isa::avx512:
      return {avx512::round_rows, avx512::quantized_product, avx512::round_group, avx512::blocked_product};
    case Isa::avx2:
      return {avx2::round_rows, avx2::quantized_product, avx2::round_group, avx2::blocked_product};
    default:
      return {scalar::round_rows, scalar::quantized_product, scalar::round_group, scalar::blocked_product};
  }
}

void check(int64_t m, int64_t k, const ConstRows& x, std::span<const QuantizedFactor> factors) {
  constexpr int64_t kMostColumns = 1 << 16;  // whose sums of products of codes fit 32 bits
  const auto fail = [](std::string_view what) {
    throw Error(ErrorKind::internal, fmt::format("quantized_products: {}", what));
  };
  if (m < 0 || k < 1 || k > kMostColumns)
    fail(fmt::format("sizes: found m {}, k {}, expected k of 1 to {}", m, k, kMostColumns));
  if (m > 1 && x.stride < k) fail("x: found a stride that is shorter than a row");
  for (const QuantizedFactor& factor : factors) {
    check_with_gate("quantized_products", factor, [&](const QuantizedFactor& one) {
      if (one.n < 0 || (m > 1 && one.y.stride < one.n)) fail("y: found a stride that is shorter than a row");
      for (Coding coding : {Coding::int8_rows, Coding::int8_rotated, Coding::bfloat12})
        if ((one.coding == coding) != (factors[0].coding == coding))
          fail(fmt::format("found {} beside another coding, for which x is rounded otherwise", coding_name(coding)));
    });
  }
}

constexpr int64_t kLeastWork = 1 << 16;

// Of rows of y from `first` on.
CodedFactor coded(const QuantizedFactor& factor, int64_t k, int64_t first) {
  const auto* codes = static_cast<const uint8_t*>(factor.packed);
  return {result_from(first, factor.y, factor.epilogue), factor.n, factor.coding, codes,
          codes + count_panels(factor.n) * count_groups(k) * group_code_bytes(factor.coding)};
}

// `x`, or its rows as `coding` has them, in memory of this thread's own.
ConstRows rotated_for(Coding coding, int64_t m, int64_t k, const ConstRows& x) {
  if (coding != Coding::int8_rotated) return x;
  static thread_local Scratch scratch;
  auto* const rotated = reinterpret_cast<float*>(scratch.of(m * k * static_cast<int64_t>(sizeof(float))));
  rotate_rows(x, k, 0, m, rotated);
  return {rotated, Element::float32, k};
}

void few_rows(const Functions& run, int64_t m, int64_t k, const ConstRows& given,
              std::span<const QuantizedFactor> factors) {
  const int64_t groups = count_groups(k);
  const ConstRows x = rotated_for(factors[0].coding, m, k, given);
  static thread_local Scratch scratch;
  RoundedRows rows{m, k, groups, x.data, x.type, x.stride, is_by_rows(factors[0].coding), {}, {}, {}};
  std::byte* at = scratch.of(m * groups * (kCodeGroup + 4 + 4) + 64);
  rows.scales = reinterpret_cast<float*>(at);
  rows.sums = reinterpret_cast<int32_t*>(at + m * groups * 4);
  rows.codes = reinterpret_cast<int8_t*>(at + m * groups * 8);
  parallel_for(0, rounded_passes(m), std::max<int64_t>(1, kLeastWork / (kPassRows * k)),
               [&](int64_t begin, int64_t end) { run.round_rows(rows, begin, end); });

  const int64_t work = m * k * kPanelRows;
  over_factors(factors, kPanelRows, (4 * kLeastWork + work - 1) / work,
               [&](const QuantizedFactor& factor, int64_t begin, int64_t end) {
                 run_behind_gate(
                     factor, m, kPanelRows, begin, end,
                     [&](const QuantizedFactor& one) -> QuantizedProduct {
                       return {coded(one, k, 0), rows};
                     },
                     run.product);
               });
}

int64_t columns_of_a_scale(int64_t k, std::span<const QuantizedFactor> factors) {
  if (is_by_rows(factors[0].coding)) return k;
  const auto is_grouped = [](const QuantizedFactor& factor) { return factor.coding == Coding::int8_groups; };
  return std::ranges::any_of(factors, is_grouped) ? kGroupedBlock : kCodedBlock;
}

// Rows [first, first + m) of x and y.
void blocked_rows(const Functions& run, int64_t first, int64_t m, int64_t k, const ConstRows& x,
                  std::span<const QuantizedFactor> factors) {
  const Coding coding = factors[0].coding;
  BlockedRows rows{m, k, columns_of_a_scale(k, factors), {}, {}, {}};
  const int64_t codes = rows.groups() * 16 * count_steps(k) * kStepColumns, blocks = rows.groups() * 16 * rows.scaled();
  static thread_local Scratch scratch;
  std::byte* at = scratch.of(codes + blocks * 8);
  rows.codes = reinterpret_cast<int8_t*>(at);
  rows.scales = reinterpret_cast<float*>(at + codes);
  rows.sums = reinterpret_cast<int32_t*>(at + codes + blocks * 4);
  parallel_for(0, rows.groups(), std::max<int64_t>(1, kLeastWork / (16 * k)), [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      const ConstRows given{row_of(x.data, first + group * 16, x.stride, x.type), x.type, x.stride};
      run.round_group(rows, group, rotated_for(coding, rows.in_group(group), k, given));
    }
  });

  over_factors(factors, kSlabRows, 1, [&](const QuantizedFactor& factor, int64_t begin, int64_t end) {
    static thread_local Scratch own;
    void* const totals = own.of(rows.summed_slabs() * rows.groups() * 16 * kSlabRows * 4);
    run_behind_gate(
        factor, m, kSlabRows, begin, end,
        [&](const QuantizedFactor& one) -> BlockedProduct {
          return {coded(one, k, first), rows, totals};
        },
        run.blocked_product);
  });
}

}  // namespace

void quantized_products(int64_t m, int64_t k, ConstRows x, std::span<const QuantizedFactor> factors) {
  check(m, k, x, factors);
  if (m == 0 || std::ranges::all_of(factors, [](const QuantizedFactor& factor) { return factor.n == 0; })) return;
  if (factors[0].coding == Coding::bfloat12) return bfloat12_products(m, k, x, factors);
  // The instruction set is chosen here, so that a thread cannot fail at it.
  const Functions run = functions();
  if (m <= kCodedFewRows) return few_rows(run, m, k, x, factors);
  for (int64_t first = 0; first < m; first += kMostBlockedRows)
    blocked_rows(run, first, std::min(kMostBlockedRows, m - first), k, x, factors);
}

}  // namespace nuri::kernels
