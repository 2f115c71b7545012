#include "kernels/quantized.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

constexpr Coding kCodings[] = {Coding::int8_rows,   Coding::int8_rotated, Coding::int8_groups,
                               Coding::int4_groups, Coding::int4_ranges,  Coding::int4_steps};

struct Packed {
  Coding coding;
  int64_t n, k;
  std::vector<std::byte> bytes;
};

Packed pack(Coding coding, int64_t n, int64_t k, const Buffer& w, int64_t stride) {
  Packed packed{coding, n, k, std::vector<std::byte>(static_cast<size_t>(quantized_bytes(coding, n, k)), std::byte{9})};
  quantize(coding, n, k, {w.data(), w.type(), stride}, packed.bytes.data());
  return packed;
}

std::vector<float> unpack(const Packed& p) {
  std::vector<float> rows(static_cast<size_t>(p.n * p.k));
  dequantize(p.coding, p.n, p.k, p.bytes.data(), 0, p.n, rows.data());
  return rows;
}

// The greatest error that rounding to the nearest code allows: half a step, and what float16 takes from the scale.
constexpr double kHalfOfLeastFloat16 = 0x1p-25;
double allowed(Coding coding, double least, double most) {
  const double greatest = std::max(most, -least);
  switch (coding) {
    case Coding::int8_rows:
    case Coding::int8_rotated:
      return greatest / 127 * 0.5 * 1.0001;
    case Coding::int8_groups:
      return greatest / 127 * 0.5 + greatest * 0x1p-11 + 127 * kHalfOfLeastFloat16;
    case Coding::int4_groups:
      return greatest / 8 + greatest * 0x1p-11 +
             8 * kHalfOfLeastFloat16;  // the far end of the lesser side lacks a code
    default:
      return (most - least) / 15 * 0.5 + (most - 2 * least) * 0x1p-10 + 16 * kHalfOfLeastFloat16;
  }
}

using QuantizedBySet = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Kernels, QuantizedBySet, testing::ValuesIn(supported_isas()), isa_test_name);

// One row's codes by the definition, a number at a time; scale and least number as they are stored.
void expect_codes(const Packed& p, const Buffer& w, const std::vector<float>& found, int64_t row, int64_t group) {
  const int64_t begin = group * kCodeGroup, end = std::min(p.k, begin + kCodeGroup);
  float least = 0, most = 0;
  for (int64_t i = begin; i < end; ++i) {
    least = std::min(least, static_cast<float>(w.get(row * p.k + i)));
    most = std::max(most, static_cast<float>(w.get(row * p.k + i)));
  }
  const auto half = [](float value) { return static_cast<float>(rounded_to(Element::float16, value)); };
  const float low = half(least), scale = half((most - low) / 15);
  for (int64_t i = begin; i < end; ++i) {
    const auto x = static_cast<float>(w.get(row * p.k + i));
    const float code = scale == 0 ? 0 : std::clamp(std::nearbyint((x - low) / scale), 0.0f, 15.0f);
    ASSERT_EQ(found[static_cast<size_t>(row * p.k + i)], std::fma(code, scale, low)) << row << ", " << i;
  }
}

TEST_P(QuantizedBySet, EachCodeIsAsDefined) {
  for (auto [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {3, 31}, {17, 33}, {40, 200}}) {
    CounterRandom random(static_cast<uint64_t>(n + k));
    for (Element type : all_elements()) {
      Buffer w(type, n * k);
      w.set_random(random, 0.05);
      const Packed packed = pack(Coding::int4_ranges, n, k, w, k);
      const std::vector<float> found = unpack(packed);
      for (int64_t row = 0; row < n; ++row)
        for (int64_t group = 0; group < count_groups(k); ++group) expect_codes(packed, w, found, row, group);
    }
  }
}

TEST_P(QuantizedBySet, EverySetMakesTheSameBytes) {
  for (Coding coding : kCodings) {
    CounterRandom random(11);
    constexpr int64_t kWidth = 301;
    Buffer w(Element::bfloat16, 37 * kWidth);
    w.set_random(random, 3);
    for (int64_t i = 0; i < 101; ++i) w.set(5 * 101 + i, i % 2 == 0 ? 0.0 : -0.0);
    const Packed found = pack(coding, 37, kWidth, w, kWidth);
    set_active_isa(Isa::scalar);
    EXPECT_EQ(found.bytes, pack(coding, 37, kWidth, w, kWidth).bytes) << coding_name(coding);
    set_active_isa(GetParam());
  }
}

TEST(Quantized, EachNumberIsTheNearestCode) {
  for (Coding coding : kCodings) {
    if (coding == Coding::int4_steps) continue;  // cuts off a little where that is closer on the whole
    for (auto [n, k, spare] :
         {std::tuple<int64_t, int64_t, int64_t>{1, 1, 0}, {3, 31, 2}, {16, 32, 0}, {17, 33, 5}, {40, 200, 1}}) {
      SCOPED_TRACE(testing::Message() << coding_name(coding) << " " << n << " x " << k);
      CounterRandom random(static_cast<uint64_t>(n * k));
      Buffer w(Element::bfloat16, n * (k + spare));
      w.set_random(random, 0.1);
      const std::vector<float> found = unpack(pack(coding, n, k, w, k + spare));
      for (int64_t row = 0; row < n; ++row) {
        for (int64_t i = 0; i < k; ++i) {
          const bool rows = is_by_rows(coding);
          const int64_t begin = rows ? 0 : i / kCodeGroup * kCodeGroup,
                        end = rows ? k : std::min(k, begin + kCodeGroup);
          double least = 0, most = 0;
          for (int64_t j = begin; j < end; ++j) {
            least = std::min(least, w.get(row * (k + spare) + j));
            most = std::max(most, w.get(row * (k + spare) + j));
          }
          ASSERT_NEAR(found[static_cast<size_t>(row * k + i)], w.get(row * (k + spare) + i),
                      allowed(coding, least, most))
              << row << ", " << i;
        }
      }
    }
  }
}

double squared_error(Coding coding, int64_t n, int64_t k, const Buffer& w) {
  const std::vector<float> found = unpack(pack(coding, n, k, w, k));
  double sum = 0;
  for (size_t i = 0; i < found.size(); ++i) sum += std::pow(found[i] - w.get(static_cast<int64_t>(i)), 2);
  return sum;
}

// A byte a scale is enough, and extents are chosen by their error.
TEST(Quantized, StepsErrLessThanRanges) {
  for (auto [n, k] : {std::pair<int64_t, int64_t>{5, 64}, {16, 320}, {33, 1000}}) {
    CounterRandom random(static_cast<uint64_t>(n * k));
    Buffer w(Element::bfloat16, n * k);
    w.set_random(random, 0.1);
    EXPECT_LT(squared_error(Coding::int4_steps, n, k, w), 0.97 * squared_error(Coding::int4_ranges, n, k, w));
    for (int64_t i = 0; i < w.count(); ++i) w.set(i, (w.get(i) + 0.3) * (i / kCodeGroup % 7 + 1));  // groups differ
    EXPECT_LT(squared_error(Coding::int4_steps, n, k, w), 0.99 * squared_error(Coding::int4_ranges, n, k, w));
    for (int64_t i = 0; i < w.count(); ++i) w.set(i, -std::abs(w.get(i)));
    EXPECT_LT(squared_error(Coding::int4_steps, n, k, w), 1.01 * squared_error(Coding::int4_ranges, n, k, w));
  }
}

// One number of a row stands out by far: rotated, the others lose little.
TEST(Quantized, RotationSparesWhatStandsBesideTheGreat) {
  constexpr int64_t kWidth = 700;
  CounterRandom random(8);
  Buffer w(Element::bfloat16, 3 * kWidth);
  w.set_random(random);
  for (int64_t row = 0; row < 3; ++row) w.set(row * kWidth + 300 + row, 100);
  const auto error = [&](Coding coding) { return std::sqrt(squared_error(coding, 3, kWidth, w) / (3 * kWidth)); };
  EXPECT_NEAR(error(Coding::int8_rows), 100.0 / 127 / std::sqrt(12), 0.03);
  EXPECT_LT(error(Coding::int8_rotated), 0.05);
}

TEST(Quantized, WhatIsPackedStaysWhenPackedAgain) {
  for (Coding coding : kCodings) {
    CounterRandom random(7);
    Buffer w(Element::float32, 20 * 70);
    w.set_random(random);
    const Packed first = pack(coding, 20, 70, w, 70);
    const std::vector<float> numbers = unpack(first);
    for (int64_t i = 0; i < w.count(); ++i) w.set(i, static_cast<double>(numbers[static_cast<size_t>(i)]));
    const std::vector<float> again = unpack(pack(coding, 20, 70, w, 70));
    for (size_t i = 0; i < numbers.size(); ++i)
      ASSERT_NEAR(again[i], numbers[i], 2e-3 * std::abs(numbers[i]) + 1e-3) << coding_name(coding) << " " << i;
  }
}

// The layout that kernels/coding.h tells, byte by byte: files keep it.
TEST(Quantized, LiesAsWritten) {
  Buffer w(Element::float32, 18 * 64);
  for (int64_t i = 0; i < w.count(); ++i) w.set(i, 0);
  w.set(17 * 64 + 32 + 21, -8.0);  // row 1 of the second panel, column 21 of the second group
  const Packed four = pack(Coding::int4_groups, 18, 64, w, 64);
  ASSERT_EQ(four.bytes.size(), static_cast<size_t>(2 * 2 * 256 + 2 * 2 * 32));
  const auto byte = [](const Packed& p, int64_t i) { return std::to_integer<int>(p.bytes[static_cast<size_t>(i)]); };
  // Columns 20 to 23 share bytes with columns 4 to 7: the second of four runs. Another number is code 8, of value 0.
  EXPECT_EQ(byte(four, 256 * 3 + 64 + 1 * 4 + 1), 0x08);
  EXPECT_EQ(byte(four, 256 * 3 + 64 + 1 * 4 + 2), 0x88);
  EXPECT_EQ(byte(four, 256 * 3 + 64 + 2 * 4 + 1), 0x00);   // a row that there is not
  EXPECT_EQ(byte(four, 1024 + 3 * 32 + 1 * 2 + 1), 0x3C);  // a scale of 1

  const Packed eight = pack(Coding::int8_groups, 18, 64, w, 64);
  EXPECT_EQ(byte(eight, 512 * 3 + 5 * 64 + 1 * 4 + 1), 128 - 127);
  EXPECT_EQ(byte(eight, 512 * 3 + 5 * 64 + 1 * 4 + 2), 128);

  const Packed steps = pack(Coding::int4_steps, 18, 64, w, 64);
  constexpr int64_t kPanelScales = 2 * 16 * 4 + 2 * 2 * 16, kSecond = 1024 + kPanelScales;
  ASSERT_EQ(steps.bytes.size(), static_cast<size_t>(1024 + 2 * kPanelScales));
  const auto number = [&](int64_t i) {
    float found;
    std::memcpy(&found, steps.bytes.data() + i, sizeof found);
    return found;
  };
  EXPECT_FLOAT_EQ(number(kSecond + 1 * 4), 8.0f / 15 / 255);
  EXPECT_FLOAT_EQ(number(kSecond + 64 + 1 * 4), -8.0f / 255);
  EXPECT_EQ(byte(steps, kSecond + 128 + 32 + 1), 255);  // of the second group the scale
  EXPECT_EQ(byte(steps, kSecond + 128 + 48 + 1), 255);  // and the least number
  EXPECT_EQ(byte(steps, kSecond + 128 + 1), 0);         // nothing in the first
  EXPECT_EQ(byte(steps, kSecond + 128 + 32), 0);
  EXPECT_EQ(byte(steps, 256 * 3 + 64 + 1 * 4 + 1), 0x0F);  // column 21 is the least of its group
  EXPECT_EQ(byte(steps, 256 * 3 + 64 + 1 * 4 + 2), 0xFF);
}

TEST(Quantized, ExtremesAndNothing) {
  for (Coding coding : kCodings) {
    Buffer w(Element::float32, 64);
    for (int64_t i = 0; i < 64; ++i) w.set(i, i < 32 ? 0.0 : 1e-20);
    for (float number : unpack(pack(coding, 1, 64, w, 64))) EXPECT_NEAR(number, 0, 1e-19) << coding_name(coding);
    EXPECT_EQ(quantized_bytes(coding, 0, 64), 0);
    for (double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY), -static_cast<double>(INFINITY)}) {
      w.set(40, bad);
      EXPECT_THROW(pack(coding, 1, 64, w, 64), Error) << coding_name(coding);
    }
    w.set(40, 1e30);
    if (is_by_rows(coding) || coding == Coding::int4_steps) {
      EXPECT_NEAR(unpack(pack(coding, 1, 64, w, 64))[40], 1e30, 1e27) << coding_name(coding);
      w.set(40, 3e38), w.set(41, -3e38);
      if (coding == Coding::int4_steps) {
        EXPECT_THROW(pack(coding, 1, 64, w, 64), Error);
      }
      continue;
    }
    EXPECT_THROW(pack(coding, 1, 64, w, 64), Error) << coding_name(coding);
  }
  EXPECT_THROW(quantized_bytes(Coding::int8_rows, -1, 2), Error);
}

}  // namespace
}  // namespace nuri::kernels
