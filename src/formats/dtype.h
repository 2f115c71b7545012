#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace nuri {

// The element types of safetensors files that Nuri reads and writes.
enum class DType : uint8_t { F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL, U16, U32, U64, F8_E4M3, F8_E5M2 };

// Bytes of one element.
size_t size_of(DType dtype);
// The name in a safetensors header: "F32", "BF16", ...
std::string_view name_of(DType dtype);
// The reverse; empty for a name that is none of the above.
std::optional<DType> dtype_from_name(std::string_view name);

}  // namespace nuri
