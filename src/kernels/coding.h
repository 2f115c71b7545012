#pragma once

#include <cstdint>

namespace nuri::kernels {

// How a packed weight [n, k] writes its numbers: an unsigned code each, 8 bits or 4, and scales; or bfloat16 in 12
// bits.
//
// In memory and in files it lies as kernels of every instruction set read it: panels of 16 rows, in each of them groups
// of 32 columns, in each of these
//   8 bits: 8 times [16 rows, 4 columns] codes, 512 bytes;
//   4 bits: 4 times [16 rows, 4 columns] of two codes a byte, the low half of columns 4 i, the high half of columns
//           16 + 4 i, 256 bytes;
//   12 bits: 4 times 8 columns (kernels/isa/bfloat12_octet.h), 768 bytes.
// Behind all codes stand the scales, panel by panel. Rows and columns that the weight does not have are bytes of 0. A
// product of four neighbouring columns with 16 rows is one instruction where a processor has it (VNNI), and eight of
// them are a matrix tile (AMX).
enum class Coding : uint8_t {
  int8_rows,  // (code - 128) * scale; [16] float32 scales a panel, one a row
  // The same of a weight whose rows were rotated (kernels/rotation.h), so that no column stands out and one scale a row
  // is enough; products rotate x likewise.
  int8_rotated,
  int8_groups,  // (code - 128) * scale; [groups, 16] float16 scales a panel
  int4_groups,  // (code - 8) * scale; the same
  int4_ranges,  // code * scale + least; [groups, 2, 16] float16 a panel, the scales before the least numbers
  // The same, each scale and each least number so many steps of its row's: [2, 16] float32 steps a panel, and
  // [groups, 2, 16] counts of them, a byte each. Steps of least numbers are negative or 0.
  int4_steps,
  // Numbers of bfloat16 as they are: sign, mantissa and 4 bits of the exponent, which are 0 for an exponent of 0 and
  // else tell it from 14 less than that of the group's greatest on. A panel has [groups, 16] exponents of the greatest,
  // and then FarNumber: those nonzero ones that are smaller than that, of which the codes say 0.
  bfloat12,
};

// `row` of the panel; 16: there is none.
struct FarNumber {
  uint32_t column;
  uint16_t row, bits;
};

constexpr int64_t kPanelRows = 16, kCodeGroup = 32;

static constexpr bool is_four_bits(Coding coding) {
  return coding == Coding::int4_groups || coding == Coding::int4_ranges || coding == Coding::int4_steps;
}
// Whether a code is counted from a least number that is stored.
static constexpr bool has_least(Coding coding) { return coding == Coding::int4_ranges || coding == Coding::int4_steps; }
static constexpr bool is_by_rows(Coding coding) {
  return coding == Coding::int8_rows || coding == Coding::int8_rotated;
}
// How many numbers of a panel may be far: of normally distributed ones, one in 20,000 is.
static constexpr int64_t far_numbers(int64_t groups) { return 8 + groups / 4; }
// What is taken off a code.
static constexpr int code_offset(Coding coding) {
  return has_least(coding) ? 0 : coding == Coding::int4_groups ? 8 : 128;
}

// Bytes of one group's codes and of one panel's scales.
static constexpr int64_t group_code_bytes(Coding coding) {
  if (coding == Coding::bfloat12) return kPanelRows * kCodeGroup * 3 / 2;
  return kPanelRows * kCodeGroup / (is_four_bits(coding) ? 2 : 1);
}
// Of int4_steps in front of a panel's counts.
constexpr int64_t kPanelStepBytes = 2 * kPanelRows * 4;
static constexpr int64_t panel_scale_bytes(Coding coding, int64_t groups) {
  if (is_by_rows(coding)) return kPanelRows * 4;
  if (coding == Coding::bfloat12)
    return groups * kPanelRows + far_numbers(groups) * static_cast<int64_t>(sizeof(FarNumber));
  if (coding == Coding::int4_steps) return kPanelStepBytes + groups * 2 * kPanelRows;
  return groups * kPanelRows * (coding == Coding::int4_ranges ? 4 : 2);
}

}  // namespace nuri::kernels
