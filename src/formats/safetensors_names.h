#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "formats/dtype.h"

namespace nuri::safetensors {

inline constexpr std::string_view kMetadataKey = "__metadata__";
inline constexpr size_t kMaxHeaderBytes = 100'000'000;  // as the reference
inline constexpr size_t kMaxDimensions = 64;

// Bytes of a tensor. Empty when a dimension is negative, or when the product overflows (dimensions of 0
// apart, since strides would overflow all the same).
std::optional<size_t> byte_size(DType dtype, std::span<const int64_t> shape);

}  // namespace nuri::safetensors
