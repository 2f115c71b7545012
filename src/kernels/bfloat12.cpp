#include "kernels/bfloat12.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/isa/bfloat12_octet.h"
#include "kernels/quantized.h"

namespace nuri::kernels {
namespace {

constexpr uint16_t kNoRow = kPanelRows;

int exponent_of(uint16_t bits) { return bits >> 7 & 0xFF; }

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

// A group of a panel's numbers, those that it does not have 0.
using Block = std::array<std::array<uint16_t, kCodeGroup>, kPanelRows>;

class PanelPacker {
 public:
  PanelPacker(const Panel<uint8_t>& panel, int64_t groups) : panel_(panel), left_(far_numbers(groups)) {
    for (int64_t i = 0; i < left_; ++i) put_far(i, {0, kNoRow, 0});
  }

  // Leaves 0 in the place of numbers that are far. False: they are too many, or one is not finite.
  bool put(int64_t group, Block& block) {
    uint8_t* const greatest = panel_.exponents + group * kPanelRows;
    for (int64_t row = 0; row < kPanelRows; ++row) {
      int most = 0, least = 0xFF;
      for (uint16_t bits : block[static_cast<std::size_t>(row)]) {
        const int exponent = exponent_of(bits);
        most = std::max(most, exponent);
        least = std::min(least, exponent == 0 ? 0xFF : exponent);
      }
      if (most == 0xFF || (most - least > kLeastDistance && !put_far_ones(group, row, most, block))) return false;
      greatest[row] = static_cast<uint8_t>(most);
    }
    uint8_t* const codes = panel_.codes + group * group_code_bytes(Coding::bfloat12);
    for (int64_t row = 0; row < kPanelRows; ++row)
      for (int64_t i = 0; i < kCodeGroup; ++i)
        put_in_octet(codes + octet_of(i), row, i % kOctetColumns,
                     code_of(block[static_cast<std::size_t>(row)][static_cast<std::size_t>(i)], greatest[row]));
    return true;
  }

 private:
  bool put_far_ones(int64_t group, int64_t row, int greatest, Block& block) {
    for (int64_t i = 0; i < kCodeGroup; ++i) {
      uint16_t& bits = block[static_cast<std::size_t>(row)][static_cast<std::size_t>(i)];
      if (exponent_of(bits) == 0 || greatest - exponent_of(bits) <= kLeastDistance) continue;
      if (used_ == left_) return false;
      put_far(used_++, {static_cast<uint32_t>(group * kCodeGroup + i), static_cast<uint16_t>(row), bits});
      bits = 0;
    }
    return true;
  }
  void put_far(int64_t i, const FarNumber& number) {
    std::memcpy(panel_.far + i * static_cast<int64_t>(sizeof(FarNumber)), &number, sizeof(FarNumber));
  }

  Panel<uint8_t> panel_;
  int64_t left_, used_ = 0;
};

}  // namespace

bool pack_bfloat12(int64_t n, int64_t k, ConstRows w, void* packed) {
  if (w.type != Element::bfloat16) throw Error(ErrorKind::internal, "pack_bfloat12: expected bfloat16");
  if (n > 1 && w.stride < k) throw Error(ErrorKind::internal, "pack_bfloat12: found a stride shorter than a row");
  auto* const bytes = static_cast<uint8_t*>(packed);
  const int64_t groups = count_groups(k);
  std::memset(bytes, 0, static_cast<std::size_t>(quantized_bytes(Coding::bfloat12, n, k)));
  std::atomic<bool> fits = true;
  parallel_for(0, count_panels(n), 1, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end && fits; ++panel) {
      PanelPacker packer(panel_at(n, k, bytes, panel), groups);
      const int64_t rows = std::min(kPanelRows, n - panel * kPanelRows);
      for (int64_t group = 0; group < groups && fits; ++group) {
        const auto count = static_cast<std::size_t>(std::min(kCodeGroup, k - group * kCodeGroup));
        Block block{};
        for (int64_t row = 0; row < rows; ++row)
          std::memcpy(
              block[static_cast<std::size_t>(row)].data(),
              static_cast<const std::byte*>(w.data) + ((panel * kPanelRows + row) * w.stride + group * kCodeGroup) * 2,
              count * 2);
        if (!packer.put(group, block)) fits = false;
      }
    }
  });
  return fits;
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
