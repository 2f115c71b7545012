#include "kernels/few_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/factors.h"

namespace nuri::kernels {
namespace {

void check_stride(const char* name, int64_t rows, int64_t stride, int64_t least) {
  if (rows > 1 && stride < least) {
    throw Error(ErrorKind::internal,
                fmt::format("few_rows_product: stride of {}: found {}, expected {} or more", name, stride, least));
  }
}

void check(int64_t m, int64_t k, const ConstRows& x, const FewRowsFactor& factor) {
  if (m < 0 || factor.n < 0 || k < 0) {
    throw Error(ErrorKind::internal,
                fmt::format("few_rows_product: sizes: found m {}, n {}, k {}, expected 0 or more", m, factor.n, k));
  }
  check_stride("x", m, x.stride, k);
  check_stride("w", factor.n, factor.w.stride, k);
  check_stride("y", m, factor.y.stride, factor.n);
}

constexpr int64_t kGroup = 8;  // rows of w; threads get whole groups

}  // namespace

void few_rows_products(int64_t m, int64_t k, ConstRows x, std::span<const FewRowsFactor> factors) {
  for (const FewRowsFactor& factor : factors)
    check_with_gate("few_rows_products", factor, [&](const FewRowsFactor& one) { check(m, k, x, one); });
  if (m == 0) return;

  static thread_local std::vector<float> scratch;
  scratch.resize(static_cast<std::size_t>(m * packed_length(k)));
  const float* const packed = scratch.data();
  NURI_KERNEL(pack_few_rows)(x.data, x.type, x.stride, m, k, scratch.data());

  // The instruction set is chosen here, so that a thread cannot fail at it.
  constexpr int64_t kLeastWork = 1 << 16;
  const auto kernel = NURI_KERNEL(few_rows);
  const int64_t work = std::max<int64_t>(1, m * k * kGroup);
  over_factors(factors, kGroup, (kLeastWork + work - 1) / work,
               [&](const FewRowsFactor& factor, int64_t first, int64_t last) {
                 run_behind_gate(
                     factor, m, kGroup, first, last,
                     [&](const FewRowsFactor& one) -> FewRows {
                       return {{one.y, one.epilogue}, m, k, packed, one.w.data, one.w.stride, one.w.type};
                     },
                     [&](const FewRows& job, int64_t begin, int64_t end) {
                       kernel(job, begin * kGroup, std::min(end * kGroup, factor.n));
                     });
               });
}

void few_rows_product_by_columns(int64_t m, int64_t n, int64_t k, ConstRows x, ConstRows w, Rows y, ConstVector bias) {
  check(m, k, x, {n, {w.data, w.type, k}, y});
  check_stride("w", k, w.stride, n);
  if (m == 0 || n == 0) return;
  const auto at = [](const auto* data, int64_t elements, Element type) {
    return static_cast<const std::byte*>(data) + elements * element_bytes(type);
  };
  std::vector<float> inputs(static_cast<std::size_t>(m * k)), added(bias.data ? static_cast<std::size_t>(n) : 0);
  for (int64_t row = 0; row < m; ++row)
    convert(at(x.data, row * x.stride, x.type), x.type, inputs.data() + row * k, Element::float32, k);
  if (bias.data) convert(bias.data, bias.type, added.data(), Element::float32, n);

  // Columns at a time: long enough runs of memory, and sums that stay in the cache.
  constexpr int64_t kGroup = 256, kMost = 1024;
  const auto kernel = NURI_KERNEL(column_sums);
  parallel_for(0, (n + kGroup - 1) / kGroup, 1, [&](int64_t first, int64_t last) {
    std::vector<float> sums(static_cast<std::size_t>(m * kMost));
    for (int64_t begin = first * kGroup; begin < std::min(last * kGroup, n); begin += kMost) {
      const int64_t count = std::min({kMost, last * kGroup - begin, n - begin});
      kernel({m, k, inputs.data(), at(w.data, begin, w.type), w.stride, w.type, sums.data(), count});
      for (int64_t row = 0; row < m; ++row) {
        float* const found = sums.data() + row * count;
        for (int64_t i = 0; i < (bias.data ? count : 0); ++i) found[i] += added[static_cast<std::size_t>(begin + i)];
        convert(found, Element::float32,
                static_cast<std::byte*>(y.data) + (row * y.stride + begin) * element_bytes(y.type), y.type, count);
      }
    }
  });
}

void few_rows_product(int64_t m, int64_t n, int64_t k, ConstRows x, ConstRows w, Rows y, ConstVector bias) {
  const FewRowsFactor factor{n, w, y, {bias}};
  few_rows_products(m, k, x, {&factor, 1});
}

}  // namespace nuri::kernels
