#include "kernels/few_rows.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

using FewRowsProduct = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Kernels, FewRowsProduct, testing::ValuesIn(supported_isas()), isa_test_name);

struct Case {
  int64_t m, n, k;
  Element x = Element::float32, w = Element::bfloat16, y = Element::float32;
  bool bias = false;
  int64_t spare = 0;        // elements between rows
  bool by_columns = false;  // w lies as [k, n]
};

// Compares with double sums; the bound is that of a float32 sum of k products in any order, and y's rounding.
void check(const Case& c, uint64_t seed) {
  CounterRandom random(seed);
  Buffer x(c.x, c.m * (c.k + c.spare)), y(c.y, c.m * (c.n + c.spare));
  Buffer w(c.w, c.by_columns ? c.k * (c.n + c.spare) : c.n * (c.k + c.spare));
  Buffer bias(Element::bfloat16, c.n);
  x.set_random(random);
  w.set_random(random);
  bias.set_random(random);
  for (int64_t i = 0; i < y.count(); ++i) y.set(i, 7.0);
  (c.by_columns ? few_rows_product_by_columns : few_rows_product)(
      c.m, c.n, c.k, {x.data(), c.x, c.k + c.spare}, {w.data(), c.w, (c.by_columns ? c.n : c.k) + c.spare},
      {y.data(), c.y, c.n + c.spare}, {c.bias ? bias.data() : nullptr, Element::bfloat16});
  const double unit = c.y == Element::float32 ? 0 : c.y == Element::float16 ? 0x1p-11 : 0x1p-8;
  for (int64_t m = 0; m < c.m; ++m) {
    for (int64_t n = 0; n < c.n; ++n) {
      double sum = c.bias ? bias.get(n) : 0.0, size = std::abs(sum);
      for (int64_t k = 0; k < c.k; ++k) {
        const double product =
            x.get(m * (c.k + c.spare) + k) * w.get(c.by_columns ? k * (c.n + c.spare) + n : n * (c.k + c.spare) + k);
        sum += product;
        size += std::abs(product);
      }
      const double found = y.get(m * (c.n + c.spare) + n);
      ASSERT_NEAR(found, sum, size * 1e-6 + std::abs(sum) * unit)
          << "m " << m << " of " << c.m << ", n " << n << " of " << c.n << ", k " << c.k;
    }
    for (int64_t n = c.n; n < c.n + c.spare; ++n) ASSERT_EQ(y.get(m * (c.n + c.spare) + n), 7.0);
  }
  ASSERT_TRUE(y.guard_is_whole());
}

TEST_P(FewRowsProduct, EveryNumberOfRows) {
  for (int64_t m = 1; m <= 20; ++m) {
    for (int64_t n : {1, 2, 5, 8, 23, 61}) check({m, n, 67}, static_cast<uint64_t>(m * 100 + n));
  }
}

TEST_P(FewRowsProduct, OddLengths) {
  for (int64_t k : {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 255, 1001}) {
    for (Element type : all_elements()) check({3, 10, k, Element::float32, type}, static_cast<uint64_t>(k));
  }
}

TEST_P(FewRowsProduct, EveryType) {
  for (Element x : all_elements()) {
    for (Element w : all_elements()) {
      for (Element y : all_elements()) {
        for (int64_t m : {1, 5, 13}) {
          check({m, 21, 50, x, w, y, true}, static_cast<uint64_t>(m));
          check({m, 21, 50, x, w, y, false, 3}, static_cast<uint64_t>(m));
        }
      }
    }
  }
}

TEST_P(FewRowsProduct, ByColumns) {
  const auto by_columns = [](Case c, uint64_t seed) {
    c.by_columns = true;
    check(c, seed);
  };
  for (int64_t m : {1, 2, 5, 17}) {
    for (int64_t n : {1, 7, 16, 33, 255, 256, 700, 1300}) by_columns({m, n, 19}, static_cast<uint64_t>(m * n));
  }
  for (int64_t k : {0, 1, 3, 4, 5, 64, 1001}) by_columns({3, 21, k}, static_cast<uint64_t>(k));
  for (Element x : all_elements()) {
    for (Element w : all_elements()) {
      for (Element y : all_elements()) by_columns({3, 300, 50, x, w, y, true, 3}, 9);
    }
  }
}

TEST_P(FewRowsProduct, NothingToDo) {
  check({0, 5, 5}, 1);
  check({5, 0, 5}, 1);
  check({2, 5, 0, Element::float32, Element::bfloat16, Element::bfloat16, true}, 1);
}

TEST_P(FewRowsProduct, ExtremeValues) {
  const double huge = 0x1p127, tiny = 0x1p-133;  // the second is denormal in bfloat16 and float32
  for (int64_t place : {0, 20, 36}) {            // in whole vectors and in the tail
    const int64_t k = 37;
    Buffer x(Element::float32, k), w(Element::bfloat16, 6 * k), y(Element::bfloat16, 6);
    for (int64_t i = 0; i < k; ++i) x.set(i, 1.0);
    for (int64_t i = 0; i < w.count(); ++i) w.set(i, 0.0);
    w.set(0 * k + place, INFINITY);
    w.set(1 * k + place, NAN);
    w.set(2 * k + place, huge);
    w.set(2 * k + place / 2, huge);  // the same place when it is 0: then only one
    w.set(3 * k + place, tiny);
    w.set(4 * k + place, -INFINITY);
    w.set(4 * k + (place + 1) % k, INFINITY);
    few_rows_product(1, 6, k, {x.data(), x.type(), k}, {w.data(), w.type(), k}, {y.data(), y.type(), 6});
    EXPECT_EQ(y.get(0), INFINITY);
    EXPECT_TRUE(std::isnan(y.get(1)));
    EXPECT_EQ(y.get(2), place == 0 ? huge : INFINITY);
    EXPECT_EQ(y.get(3), tiny);
    EXPECT_TRUE(std::isnan(y.get(4)));
    EXPECT_EQ(y.get(5), 0.0);
  }
}

void run_in_threads(int64_t begin, int64_t end, int64_t, const std::function<void(int64_t, int64_t)>& body) {
  std::vector<std::thread> threads;
  for (int64_t i = begin; i < end; i += 3) {
    threads.emplace_back([&body, i, end] { body(i, std::min(i + 3, end)); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(FewRowsProduct, ThreadsChangeNothing) {
  const int64_t m = 9, n = 150, k = 100;
  CounterRandom random(5);
  Buffer x(Element::bfloat16, m * k), w(Element::bfloat16, n * k);
  x.set_random(random);
  w.set_random(random);
  const auto product = [&] {
    std::vector<float> y(m * n);
    few_rows_product(m, n, k, {x.data(), x.type(), k}, {w.data(), w.type(), k}, {y.data(), Element::float32, n});
    return y;
  };
  const std::vector<float> alone = product();
  set_parallel_for(run_in_threads);
  const std::vector<float> together = product();
  set_parallel_for(
      [](int64_t begin, int64_t end, int64_t, const std::function<void(int64_t, int64_t)>& body) { body(begin, end); });
  EXPECT_EQ(alone, together);
}

// Pieces of work that begin and end inside factors, whose numbers of rows are no whole groups.
TEST_P(FewRowsProduct, SeveralFactorsAreEachAlone) {
  const int64_t m = 3, k = 40;
  CounterRandom random(6);
  Buffer x(Element::bfloat16, m * k);
  x.set_random(random);
  std::vector<Buffer> weights;
  std::vector<std::vector<float>> together, alone;
  for (int64_t n : {50, 0, 3, 17}) {
    weights.emplace_back(Element::bfloat16, n * k).set_random(random);
    together.emplace_back(m * n, 7.0f);
    alone.emplace_back(m * n);
  }
  std::vector<FewRowsFactor> factors;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const int64_t n = weights[i].count() / k;
    factors.push_back({n, {weights[i].data(), weights[i].type(), k}, {together[i].data(), Element::float32, n}});
    few_rows_product(m, n, k, {x.data(), x.type(), k}, factors[i].w, {alone[i].data(), Element::float32, n});
  }
  set_parallel_for(run_in_threads);
  few_rows_products(m, k, {x.data(), x.type(), k}, factors);
  set_parallel_for(
      [](int64_t begin, int64_t end, int64_t, const std::function<void(int64_t, int64_t)>& body) { body(begin, end); });
  EXPECT_EQ(together, alone);
}

TEST(FewRowsProductChecks, RefusesBadSizes) {
  float value = 0;
  const Element type = Element::float32;
  EXPECT_THROW(few_rows_product(1, 1, -1, {&value, type, 1}, {&value, type, 1}, {&value, type, 1}), Error);
  EXPECT_THROW(few_rows_product(1, 2, 3, {&value, type, 3}, {&value, type, 2}, {&value, type, 2}), Error);
}

}  // namespace
}  // namespace nuri::kernels
