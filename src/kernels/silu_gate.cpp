#include "kernels/silu_gate.h"

#include <fmt/format.h>

#include <cstddef>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace nuri::kernels {

void silu_gate(const void* gate, const void* up, void* out, Element type, int64_t count) {
  if (count < 0) throw Error(ErrorKind::internal, fmt::format("silu_gate: count: found {}, expected 0 or more", count));
  constexpr int64_t kGrain = 1 << 14;
  const auto kernel = NURI_KERNEL(silu_gate);
  const int64_t bytes = element_bytes(type);
  parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    kernel(static_cast<const std::byte*>(gate) + begin * bytes, static_cast<const std::byte*>(up) + begin * bytes,
           static_cast<std::byte*>(out) + begin * bytes, type, end - begin);
  });
}

}  // namespace nuri::kernels
