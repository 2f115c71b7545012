#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "formats/gguf.h"
#include "kernels/coding.h"

namespace nuri {

// The codes of our kernels that a type of GGUF becomes; nothing: it is read as numbers.
std::optional<kernels::Coding> coding_of(GgmlType type);

// Packs a matrix [n, k] of blocks into those codes, without numbers in between; `row` gives where row i begins,
// `packed` has kernels::quantized_bytes. Parallel over rows. Throws Error(format) for a scale that float16 does not
// hold.
void pack_blocks(GgmlType type, int64_t n, int64_t k, const std::function<const std::byte*(int64_t)>& row,
                 void* packed);

}  // namespace nuri
