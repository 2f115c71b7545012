#include "ops/observe.h"

#include <ATen/ATen.h>
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
      Counter counter;
      Factor factors[] = {{a, {}}, {b, {}}};
      linears(x, factors);
      ops::linear(x, b);
      for (Activation activation : {Activation::gelu, Activation::silu}) linear_activated(x, {a, {}}, activation);
      const void *first = a.const_data_ptr(), *second = b.const_data_ptr();
      EXPECT_EQ(counter.seen, (std::vector<const void*>{first, second, second, first, first}));
      EXPECT_EQ(counter.rows, 4 * rows);
    }
  Counter counter;
  observe_products(nullptr);
  ops::linear(at::randn({2, 8}), at::randn({3, 8}));
  EXPECT_TRUE(counter.seen.empty());
}

}  // namespace
}  // namespace nuri::ops
