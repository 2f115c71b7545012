#include "kernels/bfloat12.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/isa/bfloat12_octet.h"
#include "kernels/quantized.h"

namespace nuri::kernels {
namespace {

constexpr uint16_t kNoRow = kPanelRows;
constexpr int16_t kExponentBits = 0x7F80, kOneExponent = 0x80;

// The parts of one panel.
template <class Byte>
struct Panel {
  Byte *codes, *exponents, *far;
};
template <class Byte>
Panel<Byte> panel_at(int64_t n, int64_t k, Byte* packed, int64_t panel) {
  const int64_t groups = count_groups(k), codes = groups * group_code_bytes(Coding::bfloat12);
  Byte* const exponents = packed + count_panels(n) * codes + panel * panel_scale_bytes(Coding::bfloat12, groups);
  return {packed + panel * codes, exponents, exponents + groups * kPanelRows};
}

int64_t octet_of(int64_t column) { return column / kOctetColumns * kOctetBytes; }

// A row's numbers in one group, 0 where it has none.
using Group = std::array<uint16_t, kCodeGroup>;

Group group_at(const ConstRows& w, int64_t k, int64_t row, int64_t group) {
  Group numbers{};
  const auto count = static_cast<std::size_t>(std::min(kCodeGroup, k - group * kCodeGroup));
  std::memcpy(numbers.data(), static_cast<const std::byte*>(w.data) + (row * w.stride + group * kCodeGroup) * 2,
              count * 2);
  return numbers;
}

// Exponents stay at their place: as signed numbers of 16 bits every processor compares vectors of them.
int16_t exponent_bits(uint16_t bits) { return static_cast<int16_t>(bits & kExponentBits); }

// Whether a number is too small to have a code beside a greatest exponent.
bool is_far(uint16_t bits, int16_t greatest) {
  const int16_t own = exponent_bits(bits);
  return (own != 0) & (own < static_cast<int16_t>(greatest - kLeastDistance * kOneExponent));
}

struct Extent {
  int16_t greatest = 0;  // exponent
  int16_t far = 0;       // how many numbers are
};

Extent extent_of(const Group& numbers) {
  Extent extent;
  for (uint16_t bits : numbers) extent.greatest = std::max(extent.greatest, exponent_bits(bits));
  for (uint16_t bits : numbers) extent.far = static_cast<int16_t>(extent.far + is_far(bits, extent.greatest));
  return extent;
}

// Whether rows [begin, end), which are those of one panel, fit it.
bool panel_fits(const ConstRows& w, int64_t k, int64_t begin, int64_t end) {
  const int64_t groups = count_groups(k);
  int64_t far = 0;
  for (int64_t row = begin; row < end; ++row)
    for (int64_t group = 0; group < groups; ++group) {
      const Extent extent = extent_of(group_at(w, k, row, group));
      if (extent.greatest == kExponentBits) return false;
      far += extent.far;
    }
  return far <= far_numbers(groups);
}

// Of rows that fit.
class PanelPacker {
 public:
  PanelPacker(const Panel<uint8_t>& panel, int64_t groups) : panel_(panel) {
    for (int64_t i = 0; i < far_numbers(groups); ++i) put_far(i, {0, kNoRow, 0});
  }

  void put(int64_t row, int64_t group, Group numbers) {
    const Extent extent = extent_of(numbers);
    if (extent.far > 0) take_far_ones(row, group, extent.greatest, numbers);
    const int greatest = extent.greatest / kOneExponent;
    panel_.exponents[group * kPanelRows + row] = static_cast<uint8_t>(greatest);
    uint8_t* const codes = panel_.codes + group * group_code_bytes(Coding::bfloat12);
    for (int64_t i = 0; i < kCodeGroup; ++i)
      put_in_octet(codes + octet_of(i), row, i % kOctetColumns,
                   code_of(numbers[static_cast<std::size_t>(i)], greatest));
  }

 private:
  // Leaves 0 in their places.
  void take_far_ones(int64_t row, int64_t group, int16_t greatest, Group& numbers) {
    for (int64_t i = 0; i < kCodeGroup; ++i) {
      uint16_t& bits = numbers[static_cast<std::size_t>(i)];
      if (!is_far(bits, greatest)) continue;
      put_far(used_++, {static_cast<uint32_t>(group * kCodeGroup + i), static_cast<uint16_t>(row), bits});
      bits = 0;
    }
  }
  void put_far(int64_t i, const FarNumber& number) {
    std::memcpy(panel_.far + i * static_cast<int64_t>(sizeof(FarNumber)), &number, sizeof(FarNumber));
  }

  Panel<uint8_t> panel_;
  int64_t used_ = 0;
};

// Whether `use(panel, begin, end)`, of each panel's rows, is true for all; those behind one of which it is not may be
// left out.
template <class Use>
bool all_panels(int64_t n, const Use& use) {
  std::atomic<bool> fits = true;
  parallel_for(0, count_panels(n), 1, [&](int64_t first, int64_t last) {
    for (int64_t panel = first; panel < last && fits; ++panel)
      if (!use(panel, panel * kPanelRows, std::min(n, (panel + 1) * kPanelRows))) fits = false;
  });
  return fits;
}

void check_rows(const char* who, int64_t n, int64_t k, const ConstRows& w) {
  if (w.type != Element::bfloat16) throw Error(ErrorKind::internal, fmt::format("{}: expected bfloat16", who));
  if (n > 1 && w.stride < k)
    throw Error(ErrorKind::internal, fmt::format("{}: found a stride shorter than a row", who));
}

}  // namespace

bool bfloat12_fits(int64_t n, int64_t k, ConstRows w) {
  check_rows("bfloat12_fits", n, k, w);
  return all_panels(n, [&](int64_t, int64_t begin, int64_t end) { return panel_fits(w, k, begin, end); });
}

bool pack_bfloat12(int64_t n, int64_t k, ConstRows w, void* packed) {
  check_rows("pack_bfloat12", n, k, w);
  auto* const bytes = static_cast<uint8_t*>(packed);
  const int64_t groups = count_groups(k);
  std::memset(bytes, 0, static_cast<std::size_t>(quantized_bytes(Coding::bfloat12, n, k)));
  return all_panels(n, [&](int64_t panel, int64_t begin, int64_t end) {
    if (!panel_fits(w, k, begin, end)) return false;
    PanelPacker packer(panel_at(n, k, bytes, panel), groups);
    for (int64_t group = 0; group < groups; ++group)
      for (int64_t row = begin; row < end; ++row) packer.put(row - begin, group, group_at(w, k, row, group));
    return true;
  });
}

void unpack_bfloat12(int64_t n, int64_t k, const void* packed, int64_t begin, int64_t end, uint16_t* rows) {
  const int64_t groups = count_groups(k);
  const auto* const bytes = static_cast<const uint8_t*>(packed);
  parallel_for(begin, end, 16, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const auto panel = panel_at(n, k, bytes, i / kPanelRows);
      const int64_t row = i % kPanelRows;
      uint16_t* const to = rows + (i - begin) * k;
      for (int64_t group = 0; group < groups; ++group) {
        const uint8_t* const codes = panel.codes + group * group_code_bytes(Coding::bfloat12);
        const int greatest = panel.exponents[group * kPanelRows + row];
        for (int64_t j = 0; j < std::min(kCodeGroup, k - group * kCodeGroup); ++j)
          to[group * kCodeGroup + j] = number_of(code_in_octet(codes + octet_of(j), row, j % kOctetColumns), greatest);
      }
      for (int64_t j = 0; j < far_numbers(groups); ++j) {
        FarNumber number;
        std::memcpy(&number, panel.far + j * static_cast<int64_t>(sizeof number), sizeof number);
        if (number.row == row && number.column < k) to[number.column] = number.bits;
      }
    }
  });
}

}  // namespace nuri::kernels
