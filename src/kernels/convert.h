#pragma once

#include <cstdint>

#include "kernels/element.h"

namespace nuri::kernels {

// Converts `count` numbers, rounding to the nearest, ties to even; infinities stay, a NaN stays a NaN (quiet), and
// what is too large for the target becomes infinite. Any alignment; the ranges must not overlap. Runs on the calling
// thread.
void convert(const void* from, Element from_type, void* to, Element to_type, int64_t count);

// The same over parallel_for.
void convert_parallel(const void* from, Element from_type, void* to, Element to_type, int64_t count);

}  // namespace nuri::kernels
