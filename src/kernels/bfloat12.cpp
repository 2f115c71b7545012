#include "kernels/bfloat12.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/quantized.h"

namespace nuri::kernels {
namespace {

constexpr int kNear = 15;  // distances below are told
constexpr int64_t kPairs = kCodeGroup / 2;
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

// Where the parts of a number lie in its group's codes.
int64_t byte_place(int64_t row, int64_t column) { return column / 2 * 2 * kPanelRows + row * 2 + column % 2; }
int64_t half_place(int64_t row, int64_t column) { return kPanelRows * kCodeGroup + column / 2 * kPanelRows + row; }

class PanelPacker {
 public:
  PanelPacker(const Panel<uint8_t>& panel, int64_t groups) : panel_(panel), left_(far_numbers(groups)) {
    for (int64_t i = 0; i < left_; ++i) put_far(i, {0, kNoRow, 0});
  }

  // The `count` numbers of one row and group.
  bool put(int64_t row, int64_t group, const uint16_t* numbers, int64_t count) {
    int greatest = 0;
    for (int64_t i = 0; i < count; ++i) greatest = std::max(greatest, exponent_of(numbers[i]));
    if (greatest == 0xFF) return false;
    panel_.exponents[group * kPanelRows + row] = static_cast<uint8_t>(greatest);
    uint8_t* const codes = panel_.codes + group * group_code_bytes(Coding::bfloat12);
    for (int64_t i = 0; i < count; ++i) {
      uint16_t bits = numbers[i];
      int distance = exponent_of(bits) == 0 ? kNear : greatest - exponent_of(bits);
      if (distance >= kNear && exponent_of(bits) != 0) {
        if (used_ == left_) return false;
        put_far(used_++, {static_cast<uint32_t>(group * kCodeGroup + i), static_cast<uint16_t>(row), bits});
        bits = 0, distance = kNear;
      }
      codes[byte_place(row, i)] = static_cast<uint8_t>((bits >> 8 & 0x80) | (bits & 0x7F));
      uint8_t& half = codes[half_place(row, i)];
      half = static_cast<uint8_t>(half | distance << (i % 2 * 4));
    }
    return true;
  }

 private:
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
      for (int64_t row = 0; row < std::min(kPanelRows, n - panel * kPanelRows); ++row) {
        const auto* const from = static_cast<const std::byte*>(w.data) + (panel * kPanelRows + row) * w.stride * 2;
        for (int64_t group = 0; group < groups; ++group) {
          const int64_t count = std::min(kCodeGroup, k - group * kCodeGroup);
          std::array<uint16_t, kCodeGroup> numbers;
          std::memcpy(numbers.data(), from + group * kCodeGroup * 2, static_cast<std::size_t>(count * 2));
          if (!packer.put(row, group, numbers.data(), count)) fits = false;
        }
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
        for (int64_t j = 0; j < std::min(kCodeGroup, k - group * kCodeGroup); ++j) {
          const int code = codes[byte_place(row, j)], distance = codes[half_place(row, j)] >> (j % 2 * 4) & 0xF;
          const int exponent = distance == kNear ? 0 : greatest - distance;
          to[group * kCodeGroup + j] = static_cast<uint16_t>((code & 0x80) << 8 | exponent << 7 | (code & 0x7F));
        }
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
