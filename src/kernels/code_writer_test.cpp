#include "kernels/code_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"

namespace nuri::kernels {
namespace {

TEST(CodeWriter, WritesWhatDequantizeReads) {
  for (Coding coding :
       {Coding::int8_rows, Coding::int8_groups, Coding::int4_groups, Coding::int4_ranges, Coding::int4_steps}) {
    constexpr int64_t kRows = 19, kColumns = 96;
    const int codes = is_four_bits(coding) ? 16 : 256;
    std::vector<std::byte> packed(static_cast<size_t>(quantized_bytes(coding, kRows, kColumns)), std::byte{9});
    CodeWriter writer(coding, kRows, kColumns, packed.data());
    const auto code = [&](int64_t row, int64_t column) { return static_cast<int>((row * 37 + column * 11) % codes); };
    const auto scale = [&](int64_t row, int64_t group) {
      return static_cast<float>(coding == Coding::int4_steps ? row : row - 7) * 0.25f +
             (coding == Coding::int8_rows ? 0.0f : 2.0f * group);
    };
    for (int64_t row = 0; row < kRows; ++row) {
      if (coding == Coding::int4_steps) writer.set_steps(row, {0.25f, -0.125f});
      for (int64_t group = 0; group < 3; ++group) {
        uint8_t own[kCodeGroup];
        for (int64_t i = 0; i < kCodeGroup; ++i) own[i] = static_cast<uint8_t>(code(row, group * kCodeGroup + i));
        writer.set(row, group, own, scale(row, group), -0.5f * static_cast<float>(group));
      }
    }
    std::vector<float> found(static_cast<size_t>(kRows * kColumns));
    dequantize(coding, kRows, kColumns, packed.data(), 0, kRows, found.data());
    for (int64_t row = 0; row < kRows; ++row)
      for (int64_t column = 0; column < kColumns; ++column) {
        const int64_t group = column / kCodeGroup;
        const float least = has_least(coding) ? -0.5f * static_cast<float>(group) : 0.0f;
        EXPECT_EQ(found[row * kColumns + column],
                  static_cast<float>(code(row, column) - code_offset(coding)) * scale(row, group) + least)
            << coding_name(coding) << " " << row << " " << column;
      }
  }
}

TEST(CodeWriter, StepsEndAtABytesGreatest) {
  std::vector<std::byte> packed(static_cast<size_t>(quantized_bytes(Coding::int4_steps, 1, 32)));
  CodeWriter writer(Coding::int4_steps, 1, 32, packed.data());
  const uint8_t codes[kCodeGroup] = {1, 0};
  writer.set_steps(0, {0.5f, -2.0f});
  writer.set(0, 0, codes, 1000, -1e9f);
  float found[kCodeGroup];
  dequantize(Coding::int4_steps, 1, 32, packed.data(), 0, 1, found);
  EXPECT_EQ(found[0], 255 * 0.5f - 255 * 2.0f);
  EXPECT_EQ(found[1], -255 * 2.0f);
  writer.set(0, 0, codes, -1, 5);  // on the other side of zero
  dequantize(Coding::int4_steps, 1, 32, packed.data(), 0, 1, found);
  EXPECT_EQ(found[0], 0);
}

TEST(CodeWriter, RefusesWhatFloat16DoesNotHold) {
  std::vector<std::byte> packed(static_cast<size_t>(quantized_bytes(Coding::int4_ranges, 1, 32)));
  CodeWriter writer(Coding::int4_ranges, 1, 32, packed.data());
  const uint8_t codes[kCodeGroup] = {};
  EXPECT_THROW(writer.set(0, 0, codes, 1e6f), Error);
  EXPECT_THROW(writer.set(0, 0, codes, 1, INFINITY), Error);
  EXPECT_THROW(writer.set(0, 0, codes, NAN), Error);
}

}  // namespace
}  // namespace nuri::kernels
