#include "kernels/convert.h"

#include <gtest/gtest.h>

#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

using Convert = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Kernels, Convert, testing::ValuesIn(supported_isas()), isa_test_name);

void expect_same(double found, double expected, double source) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(found)) << source;
  } else {
    EXPECT_EQ(found, expected) << source;
    EXPECT_EQ(std::signbit(found), std::signbit(expected)) << source;
  }
}

TEST_P(Convert, WidensEveryHalf) {
  for (Element type : {Element::float16, Element::bfloat16}) {
    Buffer source(type, 65536), wide(Element::float32, 65536);
    for (int i = 0; i < 65536; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      std::memcpy(static_cast<std::byte*>(source.data()) + 2 * i, &bits, 2);
    }
    convert(source.data(), type, wide.data(), Element::float32, 65536);
    for (int i = 0; i < 65536; ++i) expect_same(wide.get(i), source.get(i), i);
    // And back: nothing is lost, but that a NaN becomes quiet.
    Buffer again(type, 65536);
    convert(wide.data(), Element::float32, again.data(), type, 65536);
    for (int i = 0; i < 65536; ++i) expect_same(again.get(i), source.get(i), i);
  }
}

// Every exponent, with mantissas on and beside the halfway points of both narrow types.
std::vector<float> telling_numbers() {
  std::vector<float> numbers;
  CounterRandom random(7);
  for (uint32_t exponent = 0; exponent < 256; ++exponent) {
    for (uint32_t half : {0x8000u, 0x1000u}) {
      for (uint32_t place : {0u, half, 2 * half, 3 * half, 5 * half, 0x7FFFFFu & ~(half - 1)}) {
        for (int beside : {-1, 0, 1}) {
          const uint32_t bits = (exponent << 23) | ((place + beside) & 0x7FFFFF);
          for (uint32_t sign : {0u, 0x80000000u}) {
            const uint32_t whole = bits | sign;
            float value;
            std::memcpy(&value, &whole, 4);
            numbers.push_back(value);
          }
        }
      }
    }
    const uint32_t any = (exponent << 23) | static_cast<uint32_t>(random.below(1 << 23));
    float value;
    std::memcpy(&value, &any, 4);
    numbers.push_back(value);
  }
  return numbers;
}

TEST_P(Convert, NarrowsToTheNearestEven) {
  const std::vector<float> numbers = telling_numbers();
  const auto count = static_cast<int64_t>(numbers.size());
  for (Element type : {Element::float16, Element::bfloat16}) {
    Buffer narrow(type, count);
    convert(numbers.data(), Element::float32, narrow.data(), type, count);
    for (int64_t i = 0; i < count; ++i) expect_same(narrow.get(i), rounded_to(type, numbers[i]), numbers[i]);
    EXPECT_TRUE(narrow.guard_is_whole());
  }
}

TEST_P(Convert, EveryPairAndOddLengths) {
  CounterRandom random(3);
  for (Element from : all_elements()) {
    for (Element to : all_elements()) {
      for (int64_t count : {0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100}) {
        Buffer source(from, count), target(to, count);
        source.set_random(random, 100.0);
        convert_parallel(source.data(), from, target.data(), to, count);
        for (int64_t i = 0; i < count; ++i) EXPECT_EQ(target.get(i), rounded_to(to, source.get(i)));
        EXPECT_TRUE(target.guard_is_whole());
      }
    }
  }
}

}  // namespace
}  // namespace nuri::kernels
