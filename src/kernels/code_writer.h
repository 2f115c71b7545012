#pragma once

#include <cstdint>

#include "kernels/quantized.h"

namespace nuri::kernels {

// Packs a weight [n, k] whose codes are known: another format has them, or somebody chose them. No number is rounded
// but what a group has beside its codes: to float16, or to whole steps. Different rows may be set on different threads.
class CodeWriter {
 public:
  // `packed` has quantized_bytes and is filled with zeros. Throws Error(internal) for negative sizes.
  CodeWriter(Coding coding, int64_t n, int64_t k, void* packed);

  // The 32 codes of a group as kernels/coding.h counts them, from 0 to 255 or to 15, its scale, which is the row's with
  // int8_rows, and the least number of codings that have one. Throws Error(format) for a scale that float16 does not
  // hold.
  void set(int64_t row, int64_t group, const uint8_t* codes, float scale, float least = 0);

  // Of int4_steps, in front of the row's lines.
  void set_steps(int64_t row, const RowSteps& steps);
  // What set() does but for the codes.
  void set_line(int64_t row, int64_t group, const CodeLine& line);

 private:
  uint8_t* panel_scales(int64_t row) const;
  void set_half(int64_t row, int64_t index, float value);
  void set_counts(int64_t row, int64_t group, const CodeLine& line);

  Coding coding_;
  int64_t groups_;
  uint8_t* codes_;
  uint8_t* scales_;
};

}  // namespace nuri::kernels
