#include "kernels/quantized.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/convert.h"
#include "kernels/isa/bits.h"

namespace nuri::kernels {
namespace {

// Where the parts of one panel begin.
struct Panel {
  uint8_t* codes;
  std::byte* scales;
};

Panel panel_at(Coding coding, int64_t n, int64_t k, void* packed, int64_t panel) {
  const int64_t groups = count_groups(k), codes = groups * group_code_bytes(coding);
  auto* bytes = static_cast<std::byte*>(packed);
  return {reinterpret_cast<uint8_t*>(bytes + panel * codes),
          bytes + count_panels(n) * codes + panel * panel_scale_bytes(coding, groups)};
}

void set_code(Coding coding, uint8_t* codes, int64_t group, int64_t row, int64_t column, int code) {
  uint8_t* const at = codes + group * group_code_bytes(coding);
  if (!is_four_bits(coding)) {
    at[column / 4 * 64 + row * 4 + column % 4] = static_cast<uint8_t>(code);
    return;
  }
  uint8_t& pair = at[column % 16 / 4 * 64 + row * 4 + column % 4];
  pair = static_cast<uint8_t>(column < 16 ? (pair & 0xF0) | code : (pair & 0x0F) | code << 4);
}

int code_at(Coding coding, const uint8_t* codes, int64_t group, int64_t row, int64_t column) {
  const uint8_t* const at = codes + group * group_code_bytes(coding);
  if (!is_four_bits(coding)) return at[column / 4 * 64 + row * 4 + column % 4];
  const uint8_t pair = at[column % 16 / 4 * 64 + row * 4 + column % 4];
  return column < 16 ? pair & 0x0F : pair >> 4;
}

// A number is code * scale + least.
struct Line {
  float scale, least;
};

Line line_at(Coding coding, const std::byte* scales, int64_t group, int64_t row) {
  const auto half = [&](int64_t i) { return load_one(Float16{}, scales + i * 2); };
  switch (coding) {
    case Coding::int8_rows: {
      const float scale = load_one(Float32{}, scales + row * 4);
      return {scale, -128.0f * scale};
    }
    case Coding::int8_groups:
    case Coding::int4_groups: {
      const float scale = half(group * kPanelRows + row);
      return {scale, static_cast<float>(-code_offset(coding)) * scale};
    }
    case Coding::int4_ranges:
      return {half(group * 2 * kPanelRows + row), half((group * 2 + 1) * kPanelRows + row)};
  }
  throw Error(ErrorKind::internal, "quantized: unknown coding");
}

struct Extent {
  float least = 0, most = 0;
  float greatest() const { return std::max(most, -least); }
};

// Zero belongs to every extent: then a group of one sign keeps small numbers small.
Extent extent_of(const float* numbers, int64_t count) {
  Extent found;
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(numbers[i]))
      throw Error(ErrorKind::format, fmt::format("quantize: found {}, expected a finite number", numbers[i]));
    found.least = std::min(found.least, numbers[i]);
    found.most = std::max(found.most, numbers[i]);
  }
  return found;
}

// Stores `value` as float16 and gives what is stored.
float stored_half(std::byte* to, int64_t i, float value) {
  store_one(Float16{}, to + i * 2, value);
  const float stored = load_one(Float16{}, to + i * 2);
  if (!std::isfinite(stored))
    throw Error(ErrorKind::format,
                fmt::format("quantize: found a scale of {}, expected one that float16 holds", value));
  return stored;
}

Line store_line(Coding coding, std::byte* scales, int64_t group, int64_t row, const Extent& extent) {
  switch (coding) {
    case Coding::int8_rows: {
      const float scale = extent.greatest() / 127;
      store_one(Float32{}, scales + row * 4, scale);
      return {scale, -128 * scale};
    }
    case Coding::int8_groups: {
      const float scale = stored_half(scales, group * kPanelRows + row, extent.greatest() / 127);
      return {scale, -128 * scale};
    }
    case Coding::int4_groups: {
      // There is one code more below zero: the greater side takes it.
      const float side = extent.most > -extent.least ? -1.0f : 1.0f;
      const float scale = stored_half(scales, group * kPanelRows + row, side * extent.greatest() / 8);
      return {scale, -8 * scale};
    }
    case Coding::int4_ranges: {
      const float least = stored_half(scales, (group * 2 + 1) * kPanelRows + row, extent.least);
      return {stored_half(scales, group * 2 * kPanelRows + row, (extent.most - least) / 15), least};
    }
  }
  throw Error(ErrorKind::internal, "quantized: unknown coding");
}

void quantize_row(Coding coding, const float* numbers, int64_t k, const Panel& panel, int64_t row) {
  const int most = is_four_bits(coding) ? 15 : 255;
  Line line{};
  for (int64_t group = 0; group < count_groups(k); ++group) {
    const int64_t begin = group * kCodeGroup, count = std::min(kCodeGroup, k - begin);
    if (coding != Coding::int8_rows) {
      line = store_line(coding, panel.scales, group, row, extent_of(numbers + begin, count));
    } else if (group == 0) {
      line = store_line(coding, panel.scales, 0, row, extent_of(numbers, k));
    }
    for (int64_t column = 0; column < count; ++column) {
      const float code = line.scale == 0 ? static_cast<float>(code_offset(coding))
                                         : std::nearbyint((numbers[begin + column] - line.least) / line.scale);
      set_code(coding, panel.codes, group, row, column, std::clamp(static_cast<int>(code), 0, most));
    }
  }
}

// The 32 codes of one row and group.
void set_codes(Coding coding, uint8_t* codes, int64_t group, int64_t row, const uint8_t* from) {
  uint8_t* const at = codes + group * group_code_bytes(coding) + row * 4;
  for (int64_t quad = 0; quad < kCodeGroup / 4; ++quad) {
    if (!is_four_bits(coding)) {
      std::memcpy(at + quad * 64, from + quad * 4, 4);
    } else if (quad < 4) {
      for (int64_t i = 0; i < 4; ++i)
        at[quad * 64 + i] = static_cast<uint8_t>(from[quad * 4 + i] | from[16 + quad * 4 + i] << 4);
    }
  }
}

void check_sizes(const char* who, int64_t n, int64_t k) {
  if (n < 0 || k < 0)
    throw Error(ErrorKind::internal, fmt::format("{}: sizes: found n {}, k {}, expected 0 or more", who, n, k));
}

}  // namespace

std::string_view coding_name(Coding coding) {
  constexpr std::array<std::string_view, 4> kNames{"int8_rows", "int8_groups", "int4_groups", "int4_ranges"};
  return kNames.at(static_cast<std::size_t>(coding));
}

int64_t quantized_bytes(Coding coding, int64_t n, int64_t k) {
  check_sizes("quantized_bytes", n, k);
  const int64_t groups = count_groups(k);
  return (count_panels(n) * (groups * group_code_bytes(coding) + panel_scale_bytes(coding, groups)) + 63) / 64 * 64;
}

void quantize(Coding coding, int64_t n, int64_t k, ConstRows w, void* packed) {
  check_sizes("quantize", n, k);
  if (n > 1 && w.stride < k) throw Error(ErrorKind::internal, "quantize: found a stride that is shorter than a row");
  const int64_t size = quantized_bytes(coding, n, k), groups = count_groups(k);
  std::fill_n(static_cast<std::byte*>(packed), size, std::byte{0});
  parallel_for(0, count_panels(n), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> numbers(static_cast<std::size_t>(groups * kCodeGroup));
    for (int64_t panel = begin; panel < end; ++panel) {
      const Panel at = panel_at(coding, n, k, packed, panel);
      for (int64_t row = 0; row < std::min(kPanelRows, n - panel * kPanelRows); ++row) {
        const auto* from =
            static_cast<const std::byte*>(w.data) + (panel * kPanelRows + row) * w.stride * element_bytes(w.type);
        convert(from, w.type, numbers.data(), Element::float32, k);
        quantize_row(coding, numbers.data(), k, at, row);
      }
    }
  });
}

void pack_panel(Coding coding, int64_t n, int64_t k, int64_t panel, const GivenCodes& given, void* packed) {
  check_sizes("pack_panel", n, k);
  const int64_t groups = count_groups(k);
  const Panel at = panel_at(coding, n, k, packed, panel);
  for (int64_t row = 0; row < std::min(kPanelRows, n - panel * kPanelRows); ++row) {
    if (coding == Coding::int8_rows) store_one(Float32{}, at.scales + row * 4, given.scales[row]);
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t i = row * groups + group;
      set_codes(coding, at.codes, group, row, given.codes + i * kCodeGroup);
      if (coding == Coding::int8_rows) continue;
      const int64_t places = coding == Coding::int4_ranges ? 2 : 1;
      stored_half(at.scales, group * places * kPanelRows + row, given.scales[i]);
      if (places == 2) stored_half(at.scales, (group * 2 + 1) * kPanelRows + row, given.least[i]);
    }
  }
}

void dequantize(Coding coding, int64_t n, int64_t k, const void* packed, int64_t begin, int64_t end, float* rows) {
  check_sizes("dequantize", n, k);
  if (begin < 0 || end > n || begin > end)
    throw Error(ErrorKind::internal, fmt::format("dequantize: rows [{}, {}): expected rows of {}", begin, end, n));
  for (int64_t i = begin; i < end; ++i, rows += k) {
    const Panel panel = panel_at(coding, n, k, const_cast<void*>(packed), i / kPanelRows);
    for (int64_t column = 0; column < k; ++column) {
      const int64_t group = column / kCodeGroup, row = i % kPanelRows;
      const Line line = line_at(coding, panel.scales, group, row);
      const int code = code_at(coding, panel.codes, group, row, column % kCodeGroup);
      rows[column] = coding == Coding::int4_ranges ? std::fma(static_cast<float>(code), line.scale, line.least)
                                                   : static_cast<float>(code - code_offset(coding)) * line.scale;
    }
  }
}

}  // namespace nuri::kernels
