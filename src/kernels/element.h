#pragma once

#include <cstdint>

namespace nuri::kernels {

// How a number lies in memory.
enum class Element : uint8_t { float32, float16, bfloat16 };

static constexpr int64_t element_bytes(Element type) { return type == Element::float32 ? 4 : 2; }

}  // namespace nuri::kernels
