#include "kernels/tile_product.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/convert.h"
#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

using TileProductTest = EveryIsa;
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TileProductTest);  // a processor may have none
INSTANTIATE_TEST_SUITE_P(Kernels, TileProductTest, testing::ValuesIn(tile_isas()), isa_test_name);

double gelu(double x, Bend bend) {
  return 0.5 * x *
         (bend == Bend::gelu ? std::erfc(-x / std::sqrt(2.0))
                             : 1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

struct Case {
  int64_t m, n, k, gap = 0;  // between rows
  bool bias = true;
};

void expect_right(const Case& c) {
  SCOPED_TRACE(testing::Message() << c.m << " " << c.n << " " << c.k);
  constexpr Element kType = Element::bfloat16;
  CounterRandom random(static_cast<uint64_t>(c.m * 31 + c.n * 7 + c.k));
  const int64_t x_stride = c.k + c.gap, y_stride = c.n + c.gap;
  Buffer x(kType, c.m * x_stride), w(kType, c.n * x_stride, 3), y(kType, c.m * y_stride, 5), bias(kType, c.n);
  x.set_random(random);
  w.set_random(random, 1 / std::sqrt(static_cast<double>(c.k)));
  bias.set_random(random);
  for (int64_t i = 0; i < y.count(); ++i) y.set(i, 7);
  TileFactor factor{c.n, {w.data(), kType, x_stride}, {y.data(), kType, y_stride}};
  if (c.bias) factor.epilogue.bias = {bias.data(), kType};
  tile_products(c.m, c.k, {x.data(), kType, x_stride}, {&factor, 1});
  for (int64_t row = 0; row < c.m; ++row) {
    for (int64_t column = 0; column < c.n; ++column) {
      double sum = c.bias ? bias.get(column) : 0;
      for (int64_t i = 0; i < c.k; ++i) sum += x.get(row * x_stride + i) * w.get(column * x_stride + i);
      ASSERT_NEAR(y.get(row * y_stride + column), sum, std::abs(sum) * 0x1p-8 + 2e-5) << row << " " << column;
    }
    for (int64_t i = c.n; i < y_stride; ++i) ASSERT_EQ(y.get(row * y_stride + i), 7);
  }
  EXPECT_TRUE(y.guard_is_whole());
}

TEST_P(TileProductTest, IsTheProductAtEverySize) {
  for (int64_t m : {1, 15, 16, 17, 32, 47, 49}) expect_right({m, 64, 96});
  for (int64_t n : {32, 96, 128, 160}) expect_right({33, n, 64, 11});
  for (int64_t k : {32, 512, 544, 1056}) expect_right({20, 32, k, 1, false});
  for (int64_t m : {545, 577, 593, 729}) expect_right({m, 32, 64});  // pairs of groups, and a group by itself
  expect_right({530, 160, 32});                                      // more rows than a block of y has
  expect_right({1060, 32, 4128});                                    // and than are packed at a time
}

TEST_P(TileProductTest, FloatsAreRoundedAsTheyArePacked) {
  for (int64_t m : {1, 16, 37}) {
    const int64_t n = 64, k = 96, stride = k + 5;
    CounterRandom random(static_cast<uint64_t>(m));
    Buffer x(Element::float32, m * stride), rounded(Element::bfloat16, m * stride), w(Element::bfloat16, n * k);
    Buffer y(Element::float32, m * n), expected(Element::float32, m * n);
    x.set_random(random);
    w.set_random(random);
    x.set(3, 1e-40), x.set(4, 3.4e38), x.set(5, 1 + 0x1p-8), x.set(6, 1 + 3 * 0x1p-8);  // below, above, and ties
    convert(x.data(), Element::float32, rounded.data(), Element::bfloat16, x.count());
    for (auto* from : {&x, &rounded}) {
      Buffer& to = from == &x ? y : expected;
      const Element type = from == &x ? Element::float32 : Element::bfloat16;
      const TileFactor factor{n, {w.data(), Element::bfloat16, k}, {to.data(), Element::float32, n}};
      tile_products(m, k, {from->data(), type, stride}, {&factor, 1});
    }
    for (int64_t i = 0; i < y.count(); ++i)
      ASSERT_TRUE(y.get(i) == expected.get(i) || (std::isnan(y.get(i)) && std::isnan(expected.get(i))))
          << m << " " << i;
  }
}

// Beside another factor, for which the same rows are rounded.
TEST_P(TileProductTest, FloatsInTwoKeepSixteenBits) {
  for (const auto& [m, k] : {std::pair{1, 96}, {37, 64}, {560, 1056}, {33, 2080}}) {
    const int64_t n = 64, stride = k + 5;
    CounterRandom random(static_cast<uint64_t>(m));
    Buffer x(Element::float32, m * stride), w(Element::bfloat16, n * k);
    Buffer y(Element::float32, m * n), rounded(Element::float32, m * n);
    x.set_random(random);
    w.set_random(random);
    TileFactor factors[] = {{n, {w.data(), Element::bfloat16, k}, {y.data(), Element::float32, n}},
                            {n, {w.data(), Element::bfloat16, k}, {rounded.data(), Element::float32, n}}};
    factors[0].in_two = true;
    tile_products(m, k, {x.data(), Element::float32, stride}, factors);
    double worst = 0, worst_rounded = 0;
    for (int64_t i = 0; i < m * n; ++i) {
      double sum = 0, size = 0;
      for (int64_t j = 0; j < k; ++j) {
        const double product = x.get(i / n * stride + j) * w.get(i % n * k + j);
        sum += product, size += std::abs(product);
      }
      worst = std::max(worst, std::abs(y.get(i) - sum) / size);
      worst_rounded = std::max(worst_rounded, std::abs(rounded.get(i) - sum) / size);
    }
    EXPECT_LT(worst, 0x1p-16) << m << " " << k;
    EXPECT_GT(worst_rounded, 0x1p-13) << m << " " << k;
  }
}

TEST_P(TileProductTest, GeluKeepsSmallResults) {
  constexpr Element kType = Element::bfloat16;
  for (double value : {-12.0, -6.0, -4.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 6.0, 1e30}) {
    Buffer x(kType, 32), w(kType, 32 * 32), y(kType, 32);
    for (int64_t i = 0; i < 32; ++i) x.set(i, i == 0 ? rounded_to(kType, value) : 0);
    for (int64_t i = 0; i < w.count(); ++i) w.set(i, i % 32 == 0);
    for (Bend bend : {Bend::gelu, Bend::gelu_tanh}) {
      const TileFactor factor{32, {w.data(), kType, 32}, {y.data(), kType, 32}, {.bend = bend}};
      tile_products(1, 32, {x.data(), kType, 32}, {&factor, 1});
      const double expected = gelu(x.get(0), bend);
      EXPECT_NEAR(y.get(9), expected, std::abs(expected) * 0x1p-6 + 1e-12) << value << " " << int(bend);
    }
  }
}

TEST_P(TileProductTest, ARowDoesNotDependOnTheOthers) {
  constexpr Element kType = Element::bfloat16;
  const int64_t m = 70, n = 64, k = 1056;
  CounterRandom random(5);
  Buffer x(kType, m * k), w(kType, n * k), together(kType, m * n), alone(kType, n);
  x.set_random(random);
  w.set_random(random);
  TileFactor factor{n, {w.data(), kType, k}, {together.data(), kType, n}};
  tile_products(m, k, {x.data(), kType, k}, {&factor, 1});
  for (int64_t row : {0, 31, 69}) {
    factor.y = {alone.data(), kType, n};
    tile_products(1, k, {static_cast<const std::byte*>(x.data()) + row * k * 2, kType, k}, {&factor, 1});
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(alone.get(i), together.get(row * n + i)) << row;
  }
}

TEST_P(TileProductTest, RefusesWhatDoesNotFit) {
  EXPECT_TRUE(tiles_fit(64, 96));
  EXPECT_FALSE(tiles_fit(64, 100));
  EXPECT_FALSE(tiles_fit(48, 96));
  EXPECT_FALSE(tiles_fit(0, 32));
  Buffer x(Element::bfloat16, 64), y(Element::bfloat16, 64), half(Element::float16, 64);
  auto refused = [](int64_t m, int64_t k, ConstRows from, TileFactor factor) {
    EXPECT_THROW(tile_products(m, k, from, {&factor, 1}), Error);
  };
  constexpr Element kType = Element::bfloat16;
  refused(1, 31, {x.data(), kType, 32}, {32, {x.data(), kType, 32}, {y.data(), kType, 32}});
  refused(-1, 32, {x.data(), kType, 32}, {32, {x.data(), kType, 32}, {y.data(), kType, 32}});
  refused(2, 32, {x.data(), kType, 31}, {32, {x.data(), kType, 32}, {y.data(), kType, 32}});
  refused(1, 32, {half.data(), Element::float16, 32}, {32, {x.data(), kType, 32}, {y.data(), kType, 32}});
  refused(1, 32, {x.data(), kType, 32}, {32, {half.data(), Element::float16, 32}, {y.data(), kType, 32}});
  set_active_isa(Isa::avx512);
  EXPECT_FALSE(tiles_fit(64, 96));
}

}  // namespace
}  // namespace nuri::kernels
