#include "kernels/code_writer.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "kernels/isa/bits.h"

namespace nuri::kernels {

CodeWriter::CodeWriter(Coding coding, int64_t n, int64_t k, void* packed)
    : coding_(coding), groups_(count_groups(k)), codes_(static_cast<uint8_t*>(packed)) {
  std::memset(packed, 0, static_cast<std::size_t>(quantized_bytes(coding, n, k)));
  scales_ = codes_ + count_panels(n) * groups_ * group_code_bytes(coding);
}

void CodeWriter::set(int64_t row, int64_t group, const uint8_t* codes, float scale, float least) {
  const int64_t panel = row / kPanelRows, within = row % kPanelRows;
  uint8_t* to = codes_ + (panel * groups_ + group) * group_code_bytes(coding_) + within * 4;
  if (is_four_bits(coding_)) {
    for (int64_t i = 0; i < 16; ++i) to[i / 4 * 64 + i % 4] = static_cast<uint8_t>(codes[i] | codes[16 + i] << 4);
  } else {
    for (int64_t i = 0; i < 8; ++i) std::memcpy(to + i * 64, codes + i * 4, 4);
  }
  set_line(row, group, {scale, least});
}

uint8_t* CodeWriter::panel_scales(int64_t row) const {
  return scales_ + row / kPanelRows * panel_scale_bytes(coding_, groups_);
}

void CodeWriter::set_steps(int64_t row, const RowSteps& steps) {
  uint8_t* const to = panel_scales(row) + row % kPanelRows * 4;
  store_one(Float32{}, to, steps.scale);
  store_one(Float32{}, to + kPanelRows * 4, steps.least);
}

void CodeWriter::set_line(int64_t row, int64_t group, const CodeLine& line) {
  switch (coding_) {
    case Coding::int8_rows:
    case Coding::int8_rotated:
      return store_one(Float32{}, panel_scales(row) + row % kPanelRows * 4, line.scale);
    case Coding::int8_groups:
    case Coding::int4_groups:
      return set_half(row, group, line.scale);
    case Coding::int4_ranges:
      set_half(row, group * 2, line.scale);
      return set_half(row, group * 2 + 1, line.least);
    case Coding::int4_steps:
      return set_counts(row, group, line);
    case Coding::bfloat12:
      break;
  }
  throw Error(ErrorKind::internal, "packed codes: found bfloat12, which has no lines");
}

void CodeWriter::set_counts(int64_t row, int64_t group, const CodeLine& line) {
  uint8_t* const steps = panel_scales(row) + row % kPanelRows * 4;
  uint8_t* const to = panel_scales(row) + kPanelStepBytes + group * 2 * kPanelRows + row % kPanelRows;
  to[0] = static_cast<uint8_t>(nearest_count(line.scale, load_one(Float32{}, steps)));
  to[kPanelRows] = static_cast<uint8_t>(nearest_count(line.least, load_one(Float32{}, steps + kPanelRows * 4)));
}

void CodeWriter::set_half(int64_t row, int64_t index, float value) {
  uint8_t* to = panel_scales(row) + (index * kPanelRows + row % kPanelRows) * 2;
  store_one(Float16{}, to, value);
  if (!std::isfinite(load_one(Float16{}, to)))
    throw Error(ErrorKind::format, fmt::format("found a scale of {}, expected one that float16 holds", value));
}

}  // namespace nuri::kernels
