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
  if (is_by_rows(coding_)) {
    store_one(Float32{}, scales_ + panel * panel_scale_bytes(coding_, groups_) + within * 4, scale);
  } else if (coding_ == Coding::int4_ranges) {
    set_half(row, group * 2, scale);
    set_half(row, group * 2 + 1, least);
  } else {
    set_half(row, group, scale);
  }
}

void CodeWriter::set_half(int64_t row, int64_t index, float value) {
  uint8_t* to =
      scales_ + row / kPanelRows * panel_scale_bytes(coding_, groups_) + (index * kPanelRows + row % kPanelRows) * 2;
  store_one(Float16{}, to, value);
  if (!std::isfinite(load_one(Float16{}, to)))
    throw Error(ErrorKind::format, fmt::format("found a scale of {}, expected one that float16 holds", value));
}

}  // namespace nuri::kernels
