#include "weights/published_matrix.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "kernels/quantized.h"

namespace nuri {
namespace {

using kernels::Coding;

// A random matrix whose codes lie row after row, two of 4 bits in a byte. Its scales are float16's.
struct Made {
  Made(int bits, int64_t n, int64_t k, int64_t group_size) {
    CounterRandom random(static_cast<uint64_t>(n * k + bits));
    const int64_t share = 8 / bits, stride = (k + share - 1) / share;
    bytes.resize(static_cast<size_t>(n * stride));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
    matrix.n = n;
    matrix.k = k;
    matrix.groups = (k + group_size - 1) / group_size;
    matrix.codes = {.bytes = bytes, .bits = bits, .word_bytes = 1, .row_stride = stride, .column_stride = 1};
    for (int64_t i = 0; i < k; ++i) matrix.group_of.push_back(static_cast<int32_t>(i / group_size));
    for (int64_t i = 0; i < n * matrix.groups; ++i) {
      matrix.scales.push_back(static_cast<float>(random.between(1, 1000)) / 1024);
      matrix.zeros.push_back(static_cast<uint8_t>(1u << (bits - 1)));
    }
  }
  Made(const Made&) = delete;

  size_t place(int64_t row, int64_t column) const {
    return static_cast<size_t>(row * matrix.groups + matrix.group_of[static_cast<size_t>(column)]);
  }
  float number(int64_t row, int64_t column) const {
    const size_t i = place(row, column);
    return static_cast<float>(matrix.codes.at(row, column) - matrix.zeros[i]) * matrix.scales[i];
  }
  std::vector<std::byte> bytes;
  PublishedMatrix matrix;
};

// The greatest difference between the numbers and what the codes mean.
float error_of(const Made& made, Coding coding) {
  const auto& [n, k] = std::pair(made.matrix.n, made.matrix.k);
  at::Tensor packed = packed_as(made.matrix, coding), rows = at::empty({n, k}, at::kFloat);
  kernels::dequantize(coding, n, k, packed.const_data_ptr(), 0, n, rows.mutable_data_ptr<float>());
  float worst = 0;
  for (int64_t row = 0; row < n; ++row)
    for (int64_t column = 0; column < k; ++column)
      worst = std::max(worst, std::abs(rows[row][column].item<float>() - made.number(row, column)));
  return worst;
}

TEST(PublishedMatrix, CodesThatKernelsHaveAreExact) {
  for (auto [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {17, 33}, {37, 96}, {131, 75}}) {
    SCOPED_TRACE(testing::Message() << n << " x " << k);
    Made four(4, n, k, 32), wide(4, n, k, 64), one(4, n, k, k), eight(8, n, k, 64), rows(8, n, k, k);
    for (const Made* made : {&four, &wide, &one}) {
      ASSERT_EQ(coding_of(made->matrix), Coding::int4_groups);
      EXPECT_EQ(error_of(*made, Coding::int4_groups), 0);
    }
    const Coding coding = eight.matrix.groups == 1 ? Coding::int8_rows : Coding::int8_groups;
    ASSERT_EQ(coding_of(eight.matrix), coding);
    EXPECT_EQ(error_of(eight, coding), 0);
    for (float& scale : rows.matrix.scales) scale = 1e-9f / 3;  // float32 keeps it
    ASSERT_EQ(coding_of(rows.matrix), Coding::int8_rows);
    EXPECT_EQ(error_of(rows, Coding::int8_rows), 0);
  }
}

TEST(PublishedMatrix, ZerosOfFourBitsBecomeLeastNumbers) {
  Made made(4, 21, 70, 32);
  for (size_t i = 0; i < made.matrix.zeros.size(); ++i) made.matrix.zeros[i] = static_cast<uint8_t>(i % 16);
  ASSERT_EQ(coding_of(made.matrix), Coding::int4_ranges);
  // -zero * scale is rounded to float16, and is below 16.
  EXPECT_LE(error_of(made, Coding::int4_ranges), 0x1p-8f);
  EXPECT_GT(error_of(made, Coding::int4_ranges), 0);
}

TEST(PublishedMatrix, EightBitsAreCountedFrom128WhereTheyCanBe) {
  Made made(8, 19, 64, 32);
  for (std::byte& byte : made.bytes) byte = (byte & std::byte{0x7F}) | std::byte{0x40};  // 64 to 127, 192 to 255
  made.matrix.codes.bytes = made.bytes;
  for (size_t i = 0; i < made.matrix.zeros.size(); ++i) made.matrix.zeros[i] = static_cast<uint8_t>(40 + i % 100);
  ASSERT_EQ(coding_of(made.matrix), Coding::int8_groups);
  EXPECT_EQ(error_of(made, Coding::int8_groups), 0);
  made.bytes.back() = std::byte{255};
  made.matrix.zeros.back() = 126;
  EXPECT_EQ(coding_of(made.matrix), std::nullopt);
}

TEST(PublishedMatrix, WhatNoCodingMeansIsReadAsNumbers) {
  for (float scale : {70000.0f, 0x1p-25f, 3e-7f, 5000.0f}) {
    Made made(4, 3, 64, 32);
    if (scale == 5000.0f) made.matrix.zeros[5] = 15;  // its least number is beyond float16
    made.matrix.scales[5] = scale;
    EXPECT_EQ(coding_of(made.matrix), std::nullopt) << scale;
  }
  Made tiny(4, 3, 64, 32);
  tiny.matrix.scales[5] = 0x1p-24f;  // the least of float16, exactly
  EXPECT_EQ(coding_of(tiny.matrix), Coding::int4_groups);
  EXPECT_EQ(coding_of(Made(4, 3, 64, 16).matrix), std::nullopt);
  Made shuffled(4, 3, 64, 32);
  std::swap(shuffled.matrix.group_of[3], shuffled.matrix.group_of[40]);
  EXPECT_EQ(coding_of(shuffled.matrix), std::nullopt);
  Made reversed(4, 3, 64, 32);  // whole groups may stand in any order
  std::reverse(reversed.matrix.group_of.begin(), reversed.matrix.group_of.end());
  ASSERT_EQ(coding_of(reversed.matrix), Coding::int4_groups);
  EXPECT_EQ(error_of(reversed, Coding::int4_groups), 0);
}

TEST(PublishedMatrix, NumbersAreRoundedAsTheScalesAre) {
  Made made(8, 20, 50, 16);
  made.matrix.scales[0] = 1 / 3.0f;
  made.matrix.type = at::kBFloat16;
  at::Tensor wide = numbers_of(made.matrix, at::kFloat), own = numbers_of(made.matrix, at::kBFloat16);
  EXPECT_TRUE(at::equal(wide, own.to(at::kFloat)));
  made.matrix.type = at::kFloat;
  at::Tensor exact = numbers_of(made.matrix, at::kFloat);
  for (int64_t row = 0; row < 20; ++row)
    for (int64_t column = 0; column < 50; ++column)
      ASSERT_EQ(exact[row][column].item<float>(), made.number(row, column)) << row << " " << column;
  EXPECT_TRUE(at::equal(wide, exact.to(at::kBFloat16).to(at::kFloat)));
}

TEST(PublishedMatrix, WordsAreReadAlongRowsAndColumns) {
  CounterRandom random(3);
  std::vector<std::byte> bytes(4096);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
  for (int bits : {4, 8})
    for (auto along : {PackedIntegers::Along::rows, PackedIntegers::Along::columns})
      for (uint8_t flipped : {0, 0x80 >> (8 - bits)}) {
        PackedIntegers packed{.bytes = std::span(bytes).subspan(1),  // at an odd address
                              .bits = bits,
                              .along = along,
                              .row_stride = 13,
                              .column_stride = 1,
                              .flipped = flipped};
        if (bits == 4) packed.places = {0, 4, 1, 5, 2, 6, 3, 7};
        std::vector<uint8_t> found(static_cast<size_t>(19 * 13), 99);
        packed.unpack(8, 27, 11, found.data(), 13);
        for (int64_t row = 8; row < 27; ++row)
          for (int64_t column = 0; column < 13; ++column)
            ASSERT_EQ(found[static_cast<size_t>((row - 8) * 13 + column)], column < 11 ? packed.at(row, column) : 99);
      }
}

}  // namespace
}  // namespace nuri
