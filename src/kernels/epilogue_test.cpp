#include "kernels/epilogue.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/few_rows.h"
#include "kernels/quantized.h"
#include "kernels/quantized_product.h"
#include "kernels/test_support.h"
#include "kernels/tile_product.h"

namespace nuri::kernels {
namespace {

using Epilogues = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Kernels, Epilogues, testing::ValuesIn(supported_isas()), isa_test_name);

constexpr Bend kBends[] = {Bend::none, Bend::gelu, Bend::gelu_tanh, Bend::quick_gelu, Bend::relu, Bend::silu};

double bent(double x, Bend bend) {
  switch (bend) {
    case Bend::gelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Bend::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Bend::quick_gelu:
      return x / (1 + std::exp(-1.702 * x));
    case Bend::relu:
      return std::max(x, 0.0);
    case Bend::silu:
      return x / (1 + std::exp(-x));
    default:
      return x;
  }
}

// Two weights for the same rows, and a product of one of them, or of the second behind the first as its gate.
struct Products {
  int64_t m, n;
  std::function<void(int weight, bool gated, Rows y, const Epilogue& epilogue, const Epilogue& of_gate)> run;

  std::vector<float> sums(int weight) const {
    std::vector<float> y(static_cast<size_t>(m * n));
    run(weight, false, {y.data(), Element::float32, n}, {}, {});
    return y;
  }
};

void expect_near(const Buffer& y, int64_t i, double expected) {
  const double unit = y.type() == Element::float32 ? 4e-6 : y.type() == Element::float16 ? 0x1p-10 : 0x1p-7;
  ASSERT_NEAR(y.get(i), expected, std::abs(expected) * unit + 5e-6) << i;
}

void expect_bias_and_bend(const Products& products, CounterRandom& random) {
  const std::vector<float> sums = products.sums(0);
  for (Element type : all_elements()) {
    Buffer bias(type, products.n), y(type, products.m * products.n);
    bias.set_random(random);
    for (Bend bend : kBends) {
      products.run(0, false, {y.data(), type, products.n}, {{bias.data(), type}, bend}, {});
      for (int64_t i = 0; i < y.count(); ++i)
        expect_near(y, i, bent(sums[static_cast<size_t>(i)] + bias.get(i % products.n), bend));
      ASSERT_TRUE(y.guard_is_whole());
    }
  }
}

void expect_joins(const Products& products, CounterRandom& random) {
  const std::vector<float> sums = products.sums(0);
  const int64_t m = products.m, n = products.n, stride = n + 3;
  for (Element type : all_elements()) {
    for (Join join : {Join::plus, Join::times}) {
      const auto joined = [&](int64_t i, double other) {
        const double sum = bent(sums[static_cast<size_t>(i)], Bend::relu);
        return join == Join::plus ? sum + other : sum * other;
      };
      Buffer other(type, m * stride), y(Element::float32, m * n), same(type, m * n);
      other.set_random(random);
      products.run(0, false, {y.data(), Element::float32, n}, {{}, Bend::relu, join, {other.data(), type, stride}}, {});
      for (int64_t i = 0; i < y.count(); ++i) expect_near(y, i, joined(i, other.get(i / n * stride + i % n)));
      // Where the result lies itself.
      for (int64_t i = 0; i < same.count(); ++i) same.set(i, other.get(i / n * stride + i % n));
      products.run(0, false, {same.data(), type, n}, {{}, Bend::relu, join, {same.data(), type, n}}, {});
      for (int64_t i = 0; i < same.count(); ++i) expect_near(same, i, joined(i, other.get(i / n * stride + i % n)));
    }
  }
}

void expect_gate(const Products& products, CounterRandom& random) {
  const std::vector<float> gate = products.sums(0), up = products.sums(1);
  Buffer bias(Element::bfloat16, products.n), y(Element::float32, products.m * products.n);
  bias.set_random(random);
  for (Bend bend : kBends) {
    products.run(1, true, {y.data(), Element::float32, products.n}, {{bias.data(), bias.type()}},
                 {{bias.data(), bias.type()}, bend});
    for (int64_t i = 0; i < y.count(); ++i) {
      const double beside = bias.get(i % products.n), found = up[static_cast<size_t>(i)] + beside;
      expect_near(y, i, bent(gate[static_cast<size_t>(i)] + beside, bend) * found);
    }
  }
  const Rows whole{y.data(), Element::float32, products.n};
  const Epilogue joined{{}, Bend::none, Join::plus, {y.data(), Element::float32, products.n}};
  EXPECT_THROW(products.run(1, true, whole, joined, {}), Error);
  EXPECT_THROW(products.run(1, true, whole, {}, joined), Error);
}

void expect_all(const Products& products) {
  SCOPED_TRACE(testing::Message() << products.m << " rows, " << products.n << " columns");
  CounterRandom random(static_cast<uint64_t>(products.m));
  expect_bias_and_bend(products, random);
  expect_joins(products, random);
  expect_gate(products, random);
}

// `make(weight)` gives a factor without a result; `run(factor)` runs it.
template <class Factor, class Make, class Run>
Products products_of(int64_t m, int64_t n, const Make& make, const Run& run) {
  return {m, n, [=](int weight, bool gated, Rows y, const Epilogue& epilogue, const Epilogue& of_gate) {
            Factor factor = make(weight), gate = make(0);
            factor.y = y, factor.epilogue = epilogue;
            gate.epilogue = of_gate;
            if (gated) factor.gate = &gate;
            run(factor);
          }};
}

template <class Factor>
void expect_of_numbers(int64_t m, int64_t n, int64_t k,
                       void (*product)(int64_t, int64_t, ConstRows, std::span<const Factor>)) {
  constexpr Element kType = Element::bfloat16;
  CounterRandom random(3);
  Buffer x(kType, m * k), w(kType, 2 * n * k);
  x.set_random(random);
  w.set_random(random);
  const auto* weights = static_cast<const std::byte*>(w.data());
  expect_all(products_of<Factor>(
      m, n,
      [&](int weight) {
        return Factor{n, {weights + weight * n * k * 2, kType, k}, {}};
      },
      [&](const Factor& factor) {
        product(m, k, {x.data(), kType, k}, {&factor, 1});
      }));
}

TEST_P(Epilogues, OfFewRows) {
  expect_of_numbers<FewRowsFactor>(1, 1100, 24, few_rows_products);  // more than a gate's piece
  expect_of_numbers<FewRowsFactor>(11, 37, 24, few_rows_products);
}

TEST_P(Epilogues, OfTiles) {
  if (!has_tiles(GetParam())) return;  // others have none
  expect_of_numbers<TileFactor>(35, 160, 64, tile_products);
}

TEST_P(Epilogues, OfCodes) {
  for (Coding coding : {Coding::int8_rows, Coding::int4_ranges, Coding::int4_steps}) {
    // More columns than a gate's piece; more rows than are read at a time.
    for (auto [m, n] : {std::pair<int64_t, int64_t>{3, 1100}, {20, 150}, {1030, 3}}) {
      const int64_t k = 40;
      CounterRandom random(4);
      Buffer x(Element::float32, m * k), w(Element::float32, n * k);
      x.set_random(random);
      std::vector<std::byte> packed[2];
      for (auto& bytes : packed) {
        bytes.resize(static_cast<size_t>(quantized_bytes(coding, n, k)));
        w.set_random(random);
        quantize(coding, n, k, {w.data(), w.type(), k}, bytes.data());
      }
      expect_all(products_of<QuantizedFactor>(
          m, n,
          [&](int weight) {
            return QuantizedFactor{n, coding, packed[weight].data(), {}};
          },
          [&](const QuantizedFactor& factor) {
            quantized_products(m, k, {x.data(), x.type(), k}, {&factor, 1});
          }));
    }
  }
}

}  // namespace
}  // namespace nuri::kernels
