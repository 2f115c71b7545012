#include "kernels/few_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace nuri::kernels {
namespace {

void check_stride(const char* name, int64_t rows, int64_t stride, int64_t least) {
  if (rows > 1 && stride < least) {
    throw Error(ErrorKind::internal,
                fmt::format("few_rows_product: stride of {}: found {}, expected {} or more", name, stride, least));
  }
}

}  // namespace

void few_rows_product(int64_t m, int64_t n, int64_t k, ConstRows x, ConstRows w, Rows y, ConstVector bias) {
  if (m < 0 || n < 0 || k < 0) {
    throw Error(ErrorKind::internal,
                fmt::format("few_rows_product: sizes: found m {}, n {}, k {}, expected 0 or more", m, n, k));
  }
  check_stride("x", m, x.stride, k);
  check_stride("w", n, w.stride, k);
  check_stride("y", m, y.stride, n);
  if (m == 0 || n == 0) return;

  FewRows job{};
  job.m = m;
  job.k = k;
  job.w = w.data;
  job.w_stride = w.stride;
  job.y = y.data;
  job.y_stride = y.stride;
  job.bias = bias.data;
  job.w_type = w.type;
  job.y_type = y.type;
  job.bias_type = bias.type;

  static thread_local std::vector<float> packed;
  packed.resize(static_cast<std::size_t>(m * packed_length(k)));
  NURI_KERNEL(pack_few_rows)(x.data, x.type, x.stride, m, k, packed.data());
  job.x = packed.data();

  // The instruction set is chosen here, so that a thread cannot fail at it. Pieces are whole groups of rows.
  constexpr int64_t kGroup = 8, kLeastWork = 1 << 16;
  const auto kernel = NURI_KERNEL(few_rows);
  const int64_t work = std::max<int64_t>(1, m * k * kGroup);
  parallel_for(0, (n + kGroup - 1) / kGroup, (kLeastWork + work - 1) / work,
               [&](int64_t begin, int64_t end) { kernel(job, begin * kGroup, std::min(end * kGroup, n)); });
}

}  // namespace nuri::kernels
