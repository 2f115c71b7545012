#include "kernels/silu_gate.h"

#include <fmt/format.h>

#include <cstddef>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace nuri::kernels {

namespace {

constexpr int64_t kGrain = 1 << 14;  // elements worth a thread

void check(const char* kernel, int64_t count) {
  if (count < 0)
    throw Error(ErrorKind::internal, fmt::format("{}: count: found {}, expected 0 or more", kernel, count));
}

}  // namespace

void silu_gate(const void* gate, const void* up, void* out, Element type, int64_t count) {
  check("silu_gate", count);
  const auto kernel = NURI_KERNEL(silu_gate);
  const int64_t bytes = element_bytes(type);
  parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    kernel(static_cast<const std::byte*>(gate) + begin * bytes, static_cast<const std::byte*>(up) + begin * bytes,
           static_cast<std::byte*>(out) + begin * bytes, type, end - begin);
  });
}

void quick_gelu(const void* x, void* out, Element type, int64_t count) {
  check("quick_gelu", count);
  const auto kernel = NURI_KERNEL(quick_gelu);
  const int64_t bytes = element_bytes(type);
  parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    kernel(static_cast<const std::byte*>(x) + begin * bytes, static_cast<std::byte*>(out) + begin * bytes, type,
           end - begin);
  });
}

}  // namespace nuri::kernels
