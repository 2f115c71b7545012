#include "tasks/divergence.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace nuri {
namespace {

at::Tensor logits_of(std::vector<std::vector<double>> shares) {
  std::vector<at::Tensor> rows;
  for (const auto& row : shares) rows.push_back(at::tensor(row, at::kDouble).log().to(at::kFloat));
  return at::stack(rows);
}

TokenComparison compared(const at::Tensor& a, const at::Tensor& b, const std::vector<int64_t>& tokens) {
  Divergence divergence;
  divergence.add(a, b, tokens);
  return divergence.result();
}

TEST(Divergence, OfKnownShares) {
  at::Tensor a = logits_of({{0.5, 0.25, 0.25}, {0.1, 0.8, 0.1}}), b = logits_of({{0.25, 0.5, 0.25}, {0.2, 0.6, 0.2}});
  TokenComparison found = compared(a, b + 3, {0, 1});  // what is added to all logits changes nothing
  double first = 0.25 * std::log(2), second = 0.8 * std::log(0.8 / 0.6) + 0.2 * std::log(0.5);
  EXPECT_EQ(found.tokens, 2);
  EXPECT_NEAR(found.kl.value, (first + second) / 2, 1e-7);
  EXPECT_NEAR(found.kl.error, std::abs(first - second) / 2, 1e-7);
  EXPECT_NEAR(found.kl_median, std::min(first, second), 1e-7);
  EXPECT_NEAR(found.kl_99, std::max(first, second), 1e-7);
  EXPECT_EQ(found.kl_99, found.kl_most);
  EXPECT_EQ(found.equal_top.value, 0.5);
  EXPECT_NEAR(found.perplexity_a.value, 1 / std::sqrt(0.5 * 0.8), 1e-6);
  EXPECT_NEAR(found.perplexity_b.value, 1 / std::sqrt(0.25 * 0.6), 1e-6);
  EXPECT_NEAR(found.perplexity_ratio.value, std::sqrt(0.5 * 0.8 / (0.25 * 0.6)), 1e-6);
  EXPECT_NEAR(found.perplexity_ratio.error, found.perplexity_ratio.value * (std::log(2.0) - std::log(0.8 / 0.6)) / 2,
              1e-6);
}

TEST(Divergence, OfAModelFromItselfIsNothing) {
  at::manual_seed(1);
  at::Tensor logits = at::randn({70, 33}) * 10;  // more rows than are worked on at once
  logits[3][5] = -std::numeric_limits<float>::infinity();
  TokenComparison found = compared(logits, logits, std::vector<int64_t>(70, 4));
  EXPECT_EQ(found.tokens, 70);
  EXPECT_EQ(found.kl_most, 0);
  EXPECT_EQ(found.equal_top.value, 1);
  EXPECT_EQ(found.equal_top.error, 0);
  EXPECT_EQ(found.perplexity_ratio.value, 1);
}

TEST(Divergence, AddsUp) {
  at::manual_seed(2);
  at::Tensor a = at::randn({9, 12}), b = at::randn({9, 12});
  std::vector<int64_t> tokens = {0, 11, 3, 3, 5, 8, 1, 2, 7};
  Divergence divergence;
  EXPECT_TRUE(divergence.empty());
  for (int64_t i = 0; i < 9; ++i)
    divergence.add(a.narrow(0, i, 1), b.narrow(0, i, 1), std::span(tokens).subspan(static_cast<size_t>(i), 1));
  TokenComparison one = divergence.result(), all = compared(a, b, tokens);
  EXPECT_DOUBLE_EQ(one.kl.value, all.kl.value);
  EXPECT_DOUBLE_EQ(one.kl.error, all.kl.error);
  EXPECT_DOUBLE_EQ(one.perplexity_b.value, all.perplexity_b.value);
  EXPECT_GT(all.kl.value, 0.1);
}

TEST(Divergence, RefusesWhatIsNoNumber) {
  float nothing = std::numeric_limits<float>::quiet_NaN(), endless = std::numeric_limits<float>::infinity();
  for (float bad : {nothing, endless}) {
    at::Tensor logits = at::zeros({1, 4}), other = logits.clone();
    other[0][2] = bad;
    EXPECT_THROW(compared(logits, other, {0}), Error);
    EXPECT_THROW(compared(other, logits, {0}), Error);
  }
  EXPECT_THROW(compared(at::zeros({1, 4}), at::full({1, 4}, -endless), {0}), Error);
}

TEST(Estimate, MeanAndItsStandardError) {
  Estimate found = estimate(std::vector<double>{1, 2, 3, 6});
  EXPECT_DOUBLE_EQ(found.value, 3);
  EXPECT_DOUBLE_EQ(found.error, std::sqrt(14.0 / 3 / 4));
  EXPECT_EQ(estimate(std::vector<double>{5}).error, 0);
  EXPECT_EQ(estimate({}).value, 0);
}

}  // namespace
}  // namespace nuri
