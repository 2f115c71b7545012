#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/coding.h"
#include "kernels/few_rows.h"

namespace nuri::kernels {

// "int8_rows" and so on.
std::string_view coding_name(Coding coding);

constexpr int64_t count_panels(int64_t n) { return (n + kPanelRows - 1) / kPanelRows; }
constexpr int64_t count_groups(int64_t k) { return (k + kCodeGroup - 1) / kCodeGroup; }

// The size of a packed weight [n, k] in bytes, a multiple of 64.
int64_t quantized_bytes(Coding coding, int64_t n, int64_t k);

// Rounds w [n, k] to the nearest codes and packs them; `packed` has quantized_bytes. A row's or a group's scale is that
// of its greatest number; a group of int4_steps may end before that, where it errs less then. Parallel over rows.
// Throws Error(format) for a number that is not finite or whose scale is beyond float16 (of int4_steps, float32),
// Error(internal) for negative sizes, a stride shorter than a row, or bfloat12 (kernels/bfloat12.h).
void quantize(Coding coding, int64_t n, int64_t k, ConstRows w, void* packed);

// A number is code * scale + least.
struct CodeLine {
  float scale, least;
};
// What the scales and the least numbers of a row of int4_steps are counted in; other codings have none.
struct RowSteps {
  float scale = 0, least = 0;
};
// The nearest of 0, 1, ... 255 of them.
int nearest_count(float value, float step);
// Those of a row whose groups lie in [least, most] each. Throws Error(format) for a width that float32 does not hold.
RowSteps steps_of(std::span<const float> least, std::span<const float> most);
// That of a group (with one scale a row: a row, of int8_rotated as it was rotated) whose numbers, and zero, lie in
// [least, most], as it is stored.
CodeLine line_of(Coding coding, float least, float most, const RowSteps& steps = {});

// Rows [begin, end) of a packed weight [n, k] in float32, one after the other: what its codes mean.
void dequantize(Coding coding, int64_t n, int64_t k, const void* packed, int64_t begin, int64_t end, float* rows);

}  // namespace nuri::kernels
