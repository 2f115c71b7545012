#include "kernels/quantized.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/bfloat12.h"
#include "kernels/code_writer.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/isa/bits.h"
#include "kernels/isa/rounding.h"
#include "kernels/rotation.h"

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

int code_at(Coding coding, const uint8_t* codes, int64_t group, int64_t row, int64_t column) {
  const uint8_t* const at = codes + group * group_code_bytes(coding);
  if (!is_four_bits(coding)) return at[column / 4 * 64 + row * 4 + column % 4];
  const uint8_t pair = at[column % 16 / 4 * 64 + row * 4 + column % 4];
  return column < 16 ? pair & 0x0F : pair >> 4;
}

using Line = CodeLine;

Line line_at(Coding coding, const std::byte* scales, int64_t group, int64_t row) {
  const auto half = [&](int64_t i) { return load_one(Float16{}, scales + i * 2); };
  switch (coding) {
    case Coding::int8_rows:
    case Coding::int8_rotated: {
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
    case Coding::int4_steps: {
      const RowSteps steps{load_one(Float32{}, scales + row * 4), load_one(Float32{}, scales + (kPanelRows + row) * 4)};
      const auto count = [&](int64_t i) {
        return load_one(UInt8{}, scales + kPanelStepBytes + (group * 2 + i) * kPanelRows + row);
      };
      return {count(0) * steps.scale, count(1) * steps.least};
    }
    case Coding::bfloat12:
      break;
  }
  throw Error(ErrorKind::internal, "quantized: unknown coding");
}

// `value` as float16 holds it.
float as_half(float value) {
  std::byte bytes[2];
  store_one(Float16{}, bytes, value);
  const float stored = load_one(Float16{}, bytes);
  if (!std::isfinite(stored))
    throw Error(ErrorKind::format,
                fmt::format("quantize: found a scale of {}, expected one that float16 holds", value));
  return stored;
}

// Rounds one row after another; numbers and lines of the row are kept in between.
class RowRounder {
 public:
  RowRounder(Coding coding, int64_t k, CodeWriter& lines)
      : coding_(coding),
        lines_(lines),
        k_(k),
        groups_(static_cast<std::size_t>(count_groups(k))),
        x_(groups_ * kCodeGroup),
        least_(groups_),
        most_(groups_),
        scale_(groups_) {}

  // The weight's row `row`, whose first code goes to `codes`.
  void round(const void* from, Element type, int64_t row, uint8_t* codes) {
    convert(from, type, x_.data(), Element::float32, k_);
    const auto finite = [&] {
      return NURI_KERNEL(group_extents)({x_.data(), count_groups(k_), least_.data(), most_.data()});
    };
    if (!finite()) complain();
    if (coding_ == Coding::int8_rotated) {
      rotate(x_.data(), k_);
      if (!finite()) complain();
    }
    if (is_by_rows(coding_) && groups_ > 0) {
      least_.assign(groups_, *std::min_element(least_.begin(), least_.end()));
      most_.assign(groups_, *std::max_element(most_.begin(), most_.end()));
    }
    RowSteps steps;
    if (coding_ == Coding::int4_steps) {
      const int64_t whole = k_ / kCodeGroup;  // zeros behind the row's end do not count
      NURI_KERNEL(closer_extents)({x_.data(), whole, least_.data(), most_.data()});
      lines_.set_steps(row, steps = steps_of(least_, most_));
    }
    for (std::size_t group = 0; group < groups_; ++group) {
      const Line line = line_of(coding_, least_[group], most_[group], steps);
      lines_.set_line(row, static_cast<int64_t>(group), line);
      scale_[group] = line.scale, least_[group] = line.least;
    }
    const bool four = is_four_bits(coding_);
    NURI_KERNEL(row_codes)
    ({x_.data(), k_, scale_.data(), least_.data(), four ? 15 : 255, code_offset(coding_), four, codes});
  }

 private:
  [[noreturn]] void complain() const {
    for (float number : x_)
      if (!std::isfinite(number))
        throw Error(ErrorKind::format, fmt::format("quantize: found {}, expected a finite number", number));
    throw Error(ErrorKind::internal, "quantize: found no number that is not finite");
  }

  Coding coding_;
  CodeWriter& lines_;
  int64_t k_;
  std::size_t groups_;
  std::vector<float> x_, least_, most_, scale_;
};

void check_sizes(const char* who, int64_t n, int64_t k) {
  if (n < 0 || k < 0)
    throw Error(ErrorKind::internal, fmt::format("{}: sizes: found n {}, k {}, expected 0 or more", who, n, k));
}

}  // namespace

std::string_view coding_name(Coding coding) {
  constexpr std::array<std::string_view, 7> kNames{"int8_rows",   "int8_rotated", "int8_groups", "int4_groups",
                                                   "int4_ranges", "int4_steps",   "bfloat12"};
  return kNames.at(static_cast<std::size_t>(coding));
}

int64_t quantized_bytes(Coding coding, int64_t n, int64_t k) {
  check_sizes("quantized_bytes", n, k);
  const int64_t groups = count_groups(k);
  return (count_panels(n) * (groups * group_code_bytes(coding) + panel_scale_bytes(coding, groups)) + 63) / 64 * 64;
}

int nearest_count(float value, float step) {
  return step == 0 ? 0 : static_cast<int>(std::clamp(std::nearbyint(value / step), 0.0f, 255.0f));
}

RowSteps steps_of(std::span<const float> least, std::span<const float> most) {
  RowSteps greatest;
  for (std::size_t i = 0; i < least.size(); ++i) {
    greatest.scale = std::max(greatest.scale, (most[i] - least[i]) / 15);
    greatest.least = std::min(greatest.least, least[i]);
  }
  if (!std::isfinite(greatest.scale))
    throw Error(ErrorKind::format, "quantize: found numbers too far apart, expected a group whose width float32 holds");
  return {greatest.scale / 255, greatest.least / 255};
}

CodeLine line_of(Coding coding, float least, float most, const RowSteps& steps) {
  const float greatest = std::max(most, -least);
  switch (coding) {
    case Coding::int8_rows:
    case Coding::int8_rotated:
      return {greatest / 127, -128 * (greatest / 127)};
    case Coding::int8_groups: {
      const float scale = as_half(greatest / 127);
      return {scale, -128 * scale};
    }
    case Coding::int4_groups: {
      // There is one code more below zero: the greater side takes it.
      const float scale = as_half((most > -least ? -1.0f : 1.0f) * greatest / 8);
      return {scale, -8 * scale};
    }
    case Coding::int4_ranges: {
      const float low = as_half(least);
      return {as_half((most - low) / 15), low};
    }
    case Coding::int4_steps: {
      const auto in_steps = [](float value, float step) {
        return static_cast<float>(nearest_count(value, step)) * step;
      };
      const float low = in_steps(least, steps.least);
      return {in_steps((most - low) / 15, steps.scale), low};
    }
    case Coding::bfloat12:
      break;
  }
  throw Error(ErrorKind::internal, "quantized: unknown coding");
}

void quantize(Coding coding, int64_t n, int64_t k, ConstRows w, void* packed) {
  check_sizes("quantize", n, k);
  if (coding == Coding::bfloat12) throw Error(ErrorKind::internal, "quantize: found bfloat12, which does not round");
  if (n > 1 && w.stride < k) throw Error(ErrorKind::internal, "quantize: found a stride that is shorter than a row");
  CodeWriter lines(coding, n, k, packed);
  parallel_for(0, count_panels(n), 1, [&](int64_t begin, int64_t end) {
    RowRounder rounder(coding, k, lines);
    for (int64_t panel = begin; panel < end; ++panel) {
      const Panel at = panel_at(coding, n, k, packed, panel);
      for (int64_t row = 0; row < std::min(kPanelRows, n - panel * kPanelRows); ++row) {
        const int64_t place = (panel * kPanelRows + row) * w.stride * element_bytes(w.type);
        rounder.round(static_cast<const std::byte*>(w.data) + place, w.type, panel * kPanelRows + row,
                      at.codes + row * 4);
      }
    }
  });
}

void dequantize(Coding coding, int64_t n, int64_t k, const void* packed, int64_t begin, int64_t end, float* rows) {
  check_sizes("dequantize", n, k);
  if (begin < 0 || end > n || begin > end)
    throw Error(ErrorKind::internal, fmt::format("dequantize: rows [{}, {}): expected rows of {}", begin, end, n));
  if (coding == Coding::bfloat12) {
    std::vector<uint16_t> halves(static_cast<std::size_t>((end - begin) * k));
    unpack_bfloat12(n, k, packed, begin, end, halves.data());
    return convert(halves.data(), Element::bfloat16, rows, Element::float32, (end - begin) * k);
  }
  for (int64_t i = begin; i < end; ++i, rows += k) {
    const Panel panel = panel_at(coding, n, k, const_cast<void*>(packed), i / kPanelRows);
    for (int64_t group = 0; group < count_groups(k); ++group) {
      const Line line = line_at(coding, panel.scales, group, i % kPanelRows);
      for (int64_t column = 0; column < std::min(kCodeGroup, k - group * kCodeGroup); ++column) {
        const int code = code_at(coding, panel.codes, group, i % kPanelRows, column);
        rows[group * kCodeGroup + column] = has_least(coding)
                                                ? std::fma(static_cast<float>(code), line.scale, line.least)
                                                : static_cast<float>(code - code_offset(coding)) * line.scale;
      }
    }
    if (coding == Coding::int8_rotated) rotate_back(rows, k);
  }
}

}  // namespace nuri::kernels
