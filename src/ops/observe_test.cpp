#include "ops/observe.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nuri::ops {
namespace {

class Counter : public ProductObserver {
 public:
  Counter() { observe_products(this); }
  ~Counter() override { observe_products(nullptr); }
  void see(const at::Tensor& x, std::span<const Factor> factors) override {
    rows += x.size(0);
    for (const Factor& factor : factors) seen.push_back(factor.weight.const_data_ptr());
  }
  int64_t rows = 0;
  std::vector<const void*> seen;
};

// Once each, on every path, with few rows and with many, and nothing behind its end.
TEST(Observe, SeesEveryProductOnce) {
  at::NoGradGuard no_grad;
  for (auto type : {at::kFloat, at::kBFloat16})
    for (int64_t rows : {1, 40}) {
      at::Tensor x = at::randn({rows, 64}).to(type), a = at::randn({32, 64}).to(type), b = at::randn({64, 64}).to(type);
      at::Tensor c = at::randn({32, 64}).to(type), other = at::randn({rows, 32}).to(type);
      Counter counter;
      Factor factors[] = {{a, {}}, {b, {}}};
      linears(x, factors);
      ops::linear(x, b);
      // No kernel has the last one's.
      for (Activation activation : {Activation::gelu, Activation::silu, Activation::tanh})
        linear_activated(x, {a, {}}, activation);
      linear_added(x, {a, {}}, other);
      linear_gated(x, {a, {}}, {c, {}}, Activation::silu);
      linear_gated(x, {a, {}}, {c, {}}, Activation::tanh);
      const void *first = a.const_data_ptr(), *second = b.const_data_ptr(), *third = c.const_data_ptr();
      ASSERT_EQ(counter.seen.size(), 11u);
      using testing::ElementsAre, testing::UnorderedElementsAre;
      EXPECT_THAT(std::vector(counter.seen.begin(), counter.seen.begin() + 7),
                  ElementsAre(first, second, second, first, first, first, first));
      EXPECT_THAT(std::vector(counter.seen.begin() + 7, counter.seen.end()),
                  UnorderedElementsAre(first, third, first, third));
      EXPECT_EQ(counter.rows, 8 * rows);
    }
  Counter counter;
  observe_products(nullptr);
  ops::linear(at::randn({2, 8}), at::randn({3, 8}));
  EXPECT_TRUE(counter.seen.empty());
}

}  // namespace
}  // namespace nuri::ops
