#include "kernels/convert.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"

namespace nuri::kernels {

void convert(const void* from, Element from_type, void* to, Element to_type, int64_t count) {
  if (count < 0) throw Error(ErrorKind::internal, fmt::format("convert: count: found {}, expected 0 or more", count));
  if (count == 0) return;
  if (from_type == to_type) {
    std::memcpy(to, from, static_cast<std::size_t>(count * element_bytes(from_type)));
  } else {
    NURI_KERNEL(convert)(from, from_type, to, to_type, count);
  }
}

void convert_parallel(const void* from, Element from_type, void* to, Element to_type, int64_t count) {
  constexpr int64_t kGrain = 1 << 15;
  parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    convert(static_cast<const std::byte*>(from) + begin * element_bytes(from_type), from_type,
            static_cast<std::byte*>(to) + begin * element_bytes(to_type), to_type, end - begin);
  });
}

}  // namespace nuri::kernels
