#include "kernels/quantized_product.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/cpu.h"
#include "kernels/isa/jobs.h"
#include "kernels/quantized.h"
#include "kernels/scratch.h"

namespace nuri::kernels {
namespace {

struct Functions {
  void (*round_rows)(const RoundedRows&, int64_t, int64_t);
  void (*product)(const QuantizedProduct&, int64_t, int64_t);
};

Functions functions() {
  if (active_isa() >= Isa::avx512_vnni) return {vnni::round_rows, vnni::quantized_product};
  if (active_isa() >= Isa::avx512) return {avx512::round_rows, avx512::quantized_product};
  if (active_isa() >= Isa::avx2) return {avx2::round_rows, avx2::quantized_product};
  return {scalar::round_rows, scalar::quantized_product};
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

}  // namespace

void quantized_products(int64_t m, int64_t k, ConstRows x, std::span<const QuantizedFactor> factors) {
  check(m, k, x, factors);
  int64_t panels = 0;
  for (const QuantizedFactor& factor : factors) panels += count_panels(factor.n);
  if (m == 0 || panels == 0) return;

  // The instruction set is chosen here, so that a thread cannot fail at it.
  const Functions run = functions();
  const int64_t groups = count_groups(k);
  static thread_local Scratch scratch;
  RoundedRows rows{m, k, groups, x.data, x.type, x.stride, factors[0].coding == Coding::int8_rows, {}, {}, {}};
  std::byte* at = scratch.of(m * groups * (kCodeGroup + 4 + 4) + 64);
  rows.scales = reinterpret_cast<float*>(at);
  rows.sums = reinterpret_cast<int32_t*>(at + m * groups * 4);
  rows.codes = reinterpret_cast<int8_t*>(at + m * groups * 8);
  constexpr int64_t kLeastWork = 1 << 16;
  parallel_for(0, rounded_passes(m), std::max<int64_t>(1, kLeastWork / (kPassRows * std::max<int64_t>(k, 1))),
               [&](int64_t begin, int64_t end) { run.round_rows(rows, begin, end); });

  const int64_t work = std::max<int64_t>(1, m * k * kPanelRows);
  parallel_for(0, panels, (4 * kLeastWork + work - 1) / work, [&](int64_t begin, int64_t end) {
    for (const QuantizedFactor& factor : factors) {
      const int64_t held = count_panels(factor.n), last = std::min(end, held);
      if (begin < last) {
        const auto* codes = static_cast<const uint8_t*>(factor.packed);
        const QuantizedProduct job{rows,
                                   factor.n,
                                   factor.coding,
                                   codes,
                                   codes + held * groups * group_code_bytes(factor.coding),
                                   factor.y.data,
                                   factor.y.stride,
                                   factor.bias.data,
                                   factor.y.type,
                                   factor.bias.type};
        run.product(job, begin, last);
      }
      begin = std::max<int64_t>(begin - held, 0);
      end -= held;
      if (end <= 0) return;
    }
  });
}

}  // namespace nuri::kernels
