#include "kernels/quantized_product.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/cpu.h"
#include "kernels/isa/jobs.h"
#include "kernels/isa/quantized_blocks.h"
#include "kernels/quantized.h"
#include "kernels/scratch.h"

namespace nuri::kernels {
namespace {

static_assert(kCodedBlock == kBlockColumns);

struct Functions {
  void (*round_rows)(const RoundedRows&, int64_t, int64_t);
  void (*product)(const QuantizedProduct&, int64_t, int64_t);
  void (*round_blocks)(const BlockedRows&, int64_t, int64_t);
  void (*blocked_product)(const BlockedProduct&, int64_t, int64_t);
};

Functions functions() {
  switch (active_isa()) {
    case Isa::amx:
      return {vnni::round_rows, vnni::quantized_product, amx::round_blocks, amx::blocked_product};
    case Isa::avx512_vnni:
      return {vnni::round_rows, vnni::quantized_product, vnni::round_blocks, vnni::blocked_product};
    case Isa::avx512:
      return {avx512::round_rows, avx512::quantized_product, avx512::round_blocks, avx512::blocked_product};
    case Isa::avx2:
      return {avx2::round_rows, avx2::quantized_product, avx2::round_blocks, avx2::blocked_product};
    default:
      return {scalar::round_rows, scalar::quantized_product, scalar::round_blocks, scalar::blocked_product};
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
    if (factor.n < 0 || (m > 1 && factor.y.stride < factor.n)) fail("y: found a stride that is shorter than a row");
    if ((factor.coding == Coding::int8_rows) != (factors[0].coding == Coding::int8_rows))
      fail("found int8_rows beside another coding, for which x is rounded otherwise");
  }
}

constexpr int64_t kLeastWork = 1 << 16;

template <class Data>
Data* row_of(Data* data, int64_t row, int64_t stride, Element type) {
  using Byte = std::conditional_t<std::is_const_v<Data>, const std::byte, std::byte>;
  return static_cast<Byte*>(data) + row * stride * element_bytes(type);
}

// Of rows of y from `first` on.
CodedFactor coded(const QuantizedFactor& factor, int64_t k, int64_t first) {
  const auto* codes = static_cast<const uint8_t*>(factor.packed);
  return {factor.n,
          factor.coding,
          codes,
          codes + count_panels(factor.n) * count_groups(k) * group_code_bytes(factor.coding),
          row_of(factor.y.data, first, factor.y.stride, factor.y.type),
          factor.y.stride,
          factor.bias.data,
          factor.y.type,
          factor.bias.type,
          factor.bend};
}

// Calls body(factor, begin, end) for the parts of all factors, `rows` rows of a weight each, over the threads.
template <class Body>
void over_rows(std::span<const QuantizedFactor> factors, int64_t rows, int64_t grain, const Body& body) {
  const auto parts = [&](const QuantizedFactor& factor) { return (factor.n + rows - 1) / rows; };
  int64_t count = 0;
  for (const QuantizedFactor& factor : factors) count += parts(factor);
  parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
    for (const QuantizedFactor& factor : factors) {
      const int64_t held = parts(factor), last = std::min(end, held);
      if (begin < last) body(factor, begin, last);
      begin = std::max<int64_t>(begin - held, 0);
      end -= held;
      if (end <= 0) return;
    }
  });
}

void few_rows(const Functions& run, int64_t m, int64_t k, const ConstRows& x,
              std::span<const QuantizedFactor> factors) {
  const int64_t groups = count_groups(k);
  static thread_local Scratch scratch;
  RoundedRows rows{m, k, groups, x.data, x.type, x.stride, factors[0].coding == Coding::int8_rows, {}, {}, {}};
  std::byte* at = scratch.of(m * groups * (kCodeGroup + 4 + 4) + 64);
  rows.scales = reinterpret_cast<float*>(at);
  rows.sums = reinterpret_cast<int32_t*>(at + m * groups * 4);
  rows.codes = reinterpret_cast<int8_t*>(at + m * groups * 8);
  parallel_for(0, rounded_passes(m), std::max<int64_t>(1, kLeastWork / (kPassRows * k)),
               [&](int64_t begin, int64_t end) { run.round_rows(rows, begin, end); });

  const int64_t work = m * k * kPanelRows;
  over_rows(factors, kPanelRows, (4 * kLeastWork + work - 1) / work,
            [&](const QuantizedFactor& factor, int64_t begin, int64_t end) {
              run.product({coded(factor, k, 0), rows}, begin, end);
            });
}

// Rows [first, first + m) of x and y.
void blocked_rows(const Functions& run, int64_t first, int64_t m, int64_t k, const ConstRows& x,
                  std::span<const QuantizedFactor> factors) {
  BlockedRows rows{m, k, row_of(x.data, first, x.stride, x.type), x.type, x.stride, {}, {}, {}};
  const int64_t codes = rows.groups() * 16 * count_steps(k) * kStepColumns,
                blocks = rows.groups() * 16 * count_blocks(k);
  static thread_local Scratch scratch;
  std::byte* at = scratch.of(codes + blocks * 8);
  rows.codes = reinterpret_cast<int8_t*>(at);
  rows.scales = reinterpret_cast<float*>(at + codes);
  rows.sums = reinterpret_cast<int32_t*>(at + codes + blocks * 4);
  parallel_for(0, rows.groups(), std::max<int64_t>(1, kLeastWork / (16 * k)),
               [&](int64_t begin, int64_t end) { run.round_blocks(rows, begin, end); });

  over_rows(factors, kSlabRows, 1, [&](const QuantizedFactor& factor, int64_t begin, int64_t end) {
    static thread_local Scratch own;
    auto* totals = reinterpret_cast<float*>(own.of(rows.groups() * 16 * kSlabRows * 4));
    run.blocked_product({coded(factor, k, first), rows, totals}, begin, end);
  });
}

}  // namespace

void quantized_products(int64_t m, int64_t k, ConstRows x, std::span<const QuantizedFactor> factors) {
  check(m, k, x, factors);
  if (m == 0 || std::ranges::all_of(factors, [](const QuantizedFactor& factor) { return factor.n == 0; })) return;
  // The instruction set is chosen here, so that a thread cannot fail at it.
  const Functions run = functions();
  if (m <= kCodedFewRows) return few_rows(run, m, k, x, factors);
  for (int64_t first = 0; first < m; first += kMostBlockedRows)
    blocked_rows(run, first, std::min(kMostBlockedRows, m - first), k, x, factors);
}

}  // namespace nuri::kernels
