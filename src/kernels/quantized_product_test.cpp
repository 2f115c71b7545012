#include "kernels/quantized_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"
#include "kernels/code_writer.h"
#include "kernels/quantized.h"
#include "kernels/rotation.h"
#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

using QuantizedProducts = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Kernels, QuantizedProducts, testing::ValuesIn(supported_isas()), isa_test_name);

constexpr Coding kCodings[] = {Coding::int8_rows,   Coding::int8_rotated, Coding::int8_groups,
                               Coding::int4_groups, Coding::int4_ranges,  Coding::int4_steps};

struct Weight {
  Coding coding;
  int64_t n;
  std::vector<std::byte> packed;
  std::vector<float> numbers;  // what the codes mean
};

Weight room_for_weight(Coding coding, int64_t n, int64_t k) {
  // At an odd address, as a file may have it.
  return {coding, n, std::vector<std::byte>(static_cast<size_t>(quantized_bytes(coding, n, k)) + 1),
          std::vector<float>(static_cast<size_t>(n * k))};
}

Weight make_weight(Coding coding, int64_t n, int64_t k, CounterRandom& random) {
  Buffer w(Element::bfloat16, n * k);
  w.set_random(random);
  Weight weight = room_for_weight(coding, n, k);
  quantize(coding, n, k, {w.data(), w.type(), k}, weight.packed.data() + 1);
  dequantize(coding, n, k, weight.packed.data() + 1, 0, n, weight.numbers.data());
  return weight;
}

// Codes as files bring them: within `reach` of 128, with scales of either sign. `k` is of whole groups.
Weight given_codes(int64_t n, int64_t k, int64_t reach, CounterRandom& random) {
  constexpr Coding kCoding = Coding::int8_groups;
  Weight weight = room_for_weight(kCoding, n, k);
  CodeWriter writer(kCoding, n, k, weight.packed.data() + 1);
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t group = 0; group < k / kCodeGroup; ++group) {
      uint8_t codes[kCodeGroup];
      for (uint8_t& code : codes) code = static_cast<uint8_t>(random.between(128 - reach, 127 + reach));
      codes[0] = static_cast<uint8_t>(128 - reach);
      const float scale = static_cast<float>(random.uniform(0.5, 1.5)) * 0x1p-6f;
      writer.set(row, group, codes, group % 2 == 0 ? -scale : scale);
    }
  }
  dequantize(kCoding, n, k, weight.packed.data() + 1, 0, n, weight.numbers.data());
  return weight;
}

// Columns of x that share a scale: see the header.
int64_t shared_columns(int64_t m, int64_t k, Coding coding) {
  if (is_by_rows(coding)) return k;
  if (m <= kCodedFewRows) return kCodeGroup;
  return coding == Coding::int8_groups ? kGroupedBlock : kCodedBlock;
}

// x rounded as the header tells, by arithmetic.
std::vector<double> rounded(const Buffer& x, int64_t m, int64_t k, int64_t stride, Coding coding) {
  const int64_t shared = shared_columns(m, k, coding);
  std::vector<double> result(static_cast<size_t>(m * k));
  std::vector<float> numbers(static_cast<size_t>(k));
  for (int64_t row = 0; row < m; ++row) {
    for (int64_t i = 0; i < k; ++i) numbers[static_cast<size_t>(i)] = static_cast<float>(x.get(row * stride + i));
    if (coding == Coding::int8_rotated) rotate(numbers.data(), k);
    for (int64_t begin = 0; begin < k; begin += shared) {
      const auto first = numbers.begin() + begin, last = numbers.begin() + std::min(k, begin + shared);
      float most = 0;
      for (auto number = first; number < last; ++number) most = std::max(most, std::abs(*number));
      const float inverse = most > 0 ? 127.0f / most : 0.0f;
      for (auto number = first; number < last; ++number) *number = std::nearbyint(*number * inverse) * (most / 127);
    }
    if (coding == Coding::int8_rotated) rotate_back(numbers.data(), k);
    std::copy(numbers.begin(), numbers.end(), result.begin() + row * k);
  }
  return result;
}

// How far each number of a weight may be from the one that a product of so many rows sees in its place.
std::vector<double> seen_apart(const Weight& w, int64_t m, int64_t k) {
  std::vector<double> result(w.numbers.size());
  if (m <= kCodedFewRows || is_by_rows(w.coding)) return result;
  const int64_t shared = shared_columns(m, k, w.coding);
  for (int64_t row = 0; row < w.n; ++row) {
    for (int64_t begin = 0; begin < k; begin += shared) {
      const auto first = w.numbers.begin() + row * k + begin;
      const int64_t count = std::min(shared, k - begin);
      double most = 0;
      for (auto number = first; number < first + count; ++number) most = std::max<double>(most, std::abs(*number));
      std::fill_n(result.begin() + row * k + begin, count, 0.505 * most / 127);
    }
  }
  return result;
}

struct Case {
  int64_t m, n, k;
  Coding coding;
  Element x = Element::bfloat16, y = Element::float32;
  bool bias = false;
  int64_t spare = 0;
  int64_t reach = 0;  // of codes that are given; 0: numbers are rounded to codes
};

void check(const Case& c, uint64_t seed) {
  SCOPED_TRACE(testing::Message() << coding_name(c.coding) << ": m " << c.m << ", n " << c.n << ", k " << c.k);
  CounterRandom random(seed);
  Buffer x(c.x, c.m * (c.k + c.spare)), y(c.y, c.m * (c.n + c.spare)), bias(Element::bfloat16, c.n);
  x.set_random(random);
  bias.set_random(random);
  for (int64_t i = 0; i < y.count(); ++i) y.set(i, 7.0);
  const Weight w = c.reach > 0 ? given_codes(c.n, c.k, c.reach, random) : make_weight(c.coding, c.n, c.k, random);
  const QuantizedFactor factor{c.n,
                               c.coding,
                               w.packed.data() + 1,
                               {y.data(), c.y, c.n + c.spare},
                               {{c.bias ? bias.data() : nullptr, Element::bfloat16}}};
  quantized_products(c.m, c.k, {x.data(), c.x, c.k + c.spare}, {&factor, 1});
  const std::vector<double> seen = rounded(x, c.m, c.k, c.k + c.spare, c.coding);
  const std::vector<double> apart = seen_apart(w, c.m, c.k);
  const double unit = c.y == Element::float32 ? 0 : c.y == Element::float16 ? 0x1p-11 : 0x1p-8;
  for (int64_t m = 0; m < c.m; ++m) {
    for (int64_t n = 0; n < c.n; ++n) {
      double sum = c.bias ? bias.get(n) : 0.0, size = std::abs(sum), spread = 0;
      for (int64_t k = 0; k < c.k; ++k) {
        const double number = seen[static_cast<size_t>(m * c.k + k)];
        const double product = number * w.numbers[static_cast<size_t>(n * c.k + k)];
        sum += product;
        size += std::abs(product);
        spread += std::pow(number * apart[static_cast<size_t>(n * c.k + k)], 2);
      }
      // Roundings fall on either side: six standard deviations of their sum, where equal codes err alike.
      const double found = y.get(m * (c.n + c.spare) + n), expected = sum;
      ASSERT_NEAR(found, expected, size * 2e-6 + std::abs(expected) * unit + 6 * std::sqrt(spread / 3))
          << m << ", " << n;
    }
    for (int64_t n = c.n; n < c.n + c.spare; ++n) ASSERT_EQ(y.get(m * (c.n + c.spare) + n), 7.0);
  }
  ASSERT_TRUE(y.guard_is_whole());
}

TEST_P(QuantizedProducts, EveryNumberOfRows) {
  for (Coding coding : kCodings) {
    for (int64_t m = 1; m <= 20; ++m)
      for (int64_t n : {1, 15, 16, 17, 41}) check({m, n, 70, coding}, static_cast<uint64_t>(m * 100 + n));
  }
}

TEST_P(QuantizedProducts, OddLengths) {
  for (Coding coding : kCodings) {
    for (int64_t k : {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 1001})
      check({3, 19, k, coding}, static_cast<uint64_t>(k));
  }
}

TEST_P(QuantizedProducts, ManyRows) {
  for (Coding coding : kCodings) {
    for (int64_t m : {17, 32, 33, 64, 65}) check({m, 33, 96, coding}, static_cast<uint64_t>(m));
    for (int64_t n : {1, 15, 16, 31, 32, 47, 65}) check({18, n, 40, coding}, static_cast<uint64_t>(n));
    for (int64_t k : {1, 31, 33, 63, 64, 65, 97, 128, 129, 511, 512, 513, 700, 1100})
      check({19, 17, k, coding}, static_cast<uint64_t>(k));
    check({1030, 3, 33, coding}, 3);  // more than are taken at a time
  }
}

// In a product of many rows codes are written anew; what few of them say is not to be lost, and the one furthest from
// 128, which has no counterpart, not to leave its type when its sign turns.
TEST_P(QuantizedProducts, CodesOfAnyReach) {
  for (int64_t reach : {1, 3, 16, 43, 64, 100, 127, 128})
    for (int64_t m : {2, 19})
      for (int64_t k : {32, 256, 544})
        check({.m = m, .n = 37, .k = k, .coding = Coding::int8_groups, .reach = reach}, static_cast<uint64_t>(reach));
}

TEST_P(QuantizedProducts, EveryType) {
  for (Coding coding : kCodings) {
    for (Element x : all_elements()) {
      for (Element y : all_elements()) {
        check({2, 21, 50, coding, x, y, true}, 1);
        check({9, 37, 50, coding, x, y, false, 3}, 2);
        check({19, 37, 50, coding, x, y, true, 3}, 2);
      }
    }
  }
}

TEST_P(QuantizedProducts, SeveralWeightsAtOnceAndOneRowAmongOthers) {
  CounterRandom random(5);
  constexpr int64_t kRows = 11, kWidth = 96;
  Buffer x(Element::float32, kRows * kWidth);
  x.set_random(random);
  const Weight a = make_weight(Coding::int8_groups, 40, kWidth, random);
  const Weight b = make_weight(Coding::int4_groups, 5, kWidth, random);
  Buffer ya(Element::float32, kRows * 40), yb(Element::float32, kRows * 5), alone(Element::float32, 40);
  const std::vector<QuantizedFactor> factors{{40, a.coding, a.packed.data() + 1, {ya.data(), Element::float32, 40}},
                                             {5, b.coding, b.packed.data() + 1, {yb.data(), Element::float32, 5}}};
  quantized_products(kRows, kWidth, {x.data(), Element::float32, kWidth}, factors);
  for (int64_t row = 0; row < kRows; ++row) {
    for (const QuantizedFactor& factor : factors) {
      QuantizedFactor one = factor;
      one.y.data = alone.data();
      const auto* from = static_cast<const std::byte*>(x.data()) + row * kWidth * 4;
      quantized_products(1, kWidth, {from, Element::float32, kWidth}, {&one, 1});
      const Buffer& all = factor.n == 40 ? ya : yb;
      for (int64_t i = 0; i < factor.n; ++i) ASSERT_EQ(alone.get(i), all.get(row * factor.n + i));
    }
  }
}

// Rows [from, from + part) of a product of `m` rows are what they are as a product of their own.
void check_part(int64_t m, int64_t n, int64_t k, int64_t from, int64_t part, Coding coding) {
  SCOPED_TRACE(testing::Message() << coding_name(coding) << ": m " << m << ", n " << n << ", k " << k);
  CounterRandom random(6);
  Buffer x(Element::bfloat16, m * k), all(Element::float32, m * n), some(Element::float32, part * n);
  x.set_random(random);
  const Weight w = make_weight(coding, n, k, random);
  QuantizedFactor factor{n, coding, w.packed.data() + 1, {all.data(), Element::float32, n}};
  quantized_products(m, k, {x.data(), Element::bfloat16, k}, {&factor, 1});
  factor.y.data = some.data();
  const auto* rows = static_cast<const std::byte*>(x.data()) + from * k * 2;
  quantized_products(part, k, {rows, Element::bfloat16, k}, {&factor, 1});
  for (int64_t i = 0; i < some.count(); ++i) ASSERT_EQ(some.get(i), all.get(from * n + i)) << i / n << ", " << i % n;
}

TEST_P(QuantizedProducts, OneRowAmongMany) {
  for (Coding coding : kCodings) check_part(70, 35, 600, 37, 17, coding);
}

// So many rows that their codes do not stay in a cache together: they are multiplied in parts of k.
TEST_P(QuantizedProducts, PartsOfK) {
  for (Coding coding : kCodings) check_part(1024, 600, 1040, 1001, 17, coding);
}

// x is rounded once for all weights, as groups of 8 bits want it: these stay what they are alone, the others nearly.
TEST_P(QuantizedProducts, ManyRowsOfSeveralCodings) {
  constexpr int64_t kRows = 40, kWidth = 700, kCount = 37;
  CounterRandom random(7);
  Buffer x(Element::float32, kRows * kWidth);
  x.set_random(random);
  std::vector<Weight> weights;
  std::vector<Buffer> together;
  std::vector<QuantizedFactor> factors;
  for (Coding coding : {Coding::int4_steps, Coding::int8_groups, Coding::int4_groups}) {
    weights.push_back(make_weight(coding, kCount, kWidth, random));
    together.emplace_back(Element::float32, kRows * kCount);
  }
  for (size_t i = 0; i < weights.size(); ++i)
    factors.push_back(
        {kCount, weights[i].coding, weights[i].packed.data() + 1, {together[i].data(), Element::float32, kCount}});
  quantized_products(kRows, kWidth, {x.data(), Element::float32, kWidth}, factors);
  Buffer alone(Element::float32, kRows * kCount);
  for (size_t i = 0; i < weights.size(); ++i) {
    QuantizedFactor one = factors[i];
    one.y.data = alone.data();
    quantized_products(kRows, kWidth, {x.data(), Element::float32, kWidth}, {&one, 1});
    double apart = 0, size = 0;
    for (int64_t j = 0; j < alone.count(); ++j) {
      apart += std::pow(alone.get(j) - together[i].get(j), 2);
      size += std::pow(alone.get(j), 2);
    }
    if (one.coding == Coding::int8_groups) {
      EXPECT_EQ(apart, 0);
    } else {
      EXPECT_LT(std::sqrt(apart), 0.02 * std::sqrt(size));
      EXPECT_GT(apart, 0) << "rounded as alone";
    }
  }
}

// With one scale a row sums are exact, whichever kernel makes them.
TEST_P(QuantizedProducts, FewRowsAreAsAmongMany) {
  for (Coding coding : {Coding::int8_rows, Coding::int8_rotated})
    for (int64_t part : {1, 3, 9}) check_part(20, 35, 600, 7, part, coding);
}

// Sums of codes at their ends do not leave their type.
TEST_P(QuantizedProducts, ExtremeCodes) {
  constexpr int64_t kWidth = 1 << 16;
  for (Coding coding : kCodings) {
    Buffer w(Element::float32, kWidth);
    for (double sign : {-1.0, 1.0}) {
      const std::vector<float> many(static_cast<size_t>((kCodedFewRows + 1) * kWidth), static_cast<float>(sign));
      for (int64_t i = 0; i < kWidth; ++i) w.set(i, has_least(coding) ? 1 : -1);
      std::vector<std::byte> packed(static_cast<size_t>(quantized_bytes(coding, 1, kWidth)));
      quantize(coding, 1, kWidth, {w.data(), Element::float32, kWidth}, packed.data());
      for (int64_t m : {int64_t{1}, kCodedFewRows + 1}) {
        std::vector<float> y(static_cast<size_t>(m));
        const QuantizedFactor factor{1, coding, packed.data(), {y.data(), Element::float32, 1}};
        quantized_products(m, kWidth, {many.data(), Element::float32, kWidth}, {&factor, 1});
        for (float found : y) EXPECT_NEAR(found, sign * w.get(0) * kWidth, 1e-3 * kWidth) << coding_name(coding);
      }
    }
  }
}

TEST_P(QuantizedProducts, WhatIsNoNumberStaysNone) {
  for (Coding coding : kCodings) {
    for (double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
      for (int64_t at : {0, 9, 31, 32, 66}) {
        for (int64_t m : {int64_t{2}, kCodedFewRows + 1}) {
          CounterRandom random(3);
          Buffer x(Element::bfloat16, m * 67);
          x.set_random(random);
          x.set(67 + at, bad);
          const Weight w = make_weight(coding, 4, 67, random);
          std::vector<float> y(static_cast<size_t>(m * 4));
          const QuantizedFactor factor{4, coding, w.packed.data() + 1, {y.data(), Element::float32, 4}};
          quantized_products(m, 67, {x.data(), x.type(), 67}, {&factor, 1});
          for (size_t i = 0; i < y.size(); ++i)
            ASSERT_EQ(std::isfinite(y[i]), i / 4 != 1) << coding_name(coding) << " " << at;
        }
      }
    }
  }
}

TEST(QuantizedProduct, Refusals) {
  float x[64] = {}, y[64] = {};
  std::vector<std::byte> packed(4096);
  const QuantizedFactor rows{4, Coding::int8_rows, packed.data(), {y, Element::float32, 4}};
  const QuantizedFactor groups{4, Coding::int4_groups, packed.data(), {y, Element::float32, 4}};
  const QuantizedFactor both[] = {rows, groups};
  EXPECT_THROW(quantized_products(1, 32, {x, Element::float32, 32}, both), Error);
  EXPECT_THROW(quantized_products(2, 32, {x, Element::float32, 31}, {&rows, 1}), Error);
  EXPECT_THROW(quantized_products(1, 0, {x, Element::float32, 0}, {&rows, 1}), Error);
  EXPECT_THROW(quantized_products(1, 65537, {x, Element::float32, 0}, {&rows, 1}), Error);
}

}  // namespace
}  // namespace nuri::kernels
