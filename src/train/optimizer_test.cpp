#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace nuri {
namespace {

at::Tensor leaf(std::vector<float> values, std::vector<int64_t> shape) {
  return at::tensor(values).view(shape).clone().set_requires_grad(true);
}

TEST(AdamW, FollowsThePaper) {
  at::Tensor matrix = leaf({1.0f, -2.0f, 0.5f, 3.0f}, {2, 2}), vector = leaf({0.5f, -1.5f}, {2});
  AdamWOptions options;
  options.weight_decay = 0.1;
  AdamW optimizer({{"matrix", matrix}, {"vector", vector}}, options);

  // The same in doubles, element by element; only the matrix decays.
  struct Element {
    double value, first = 0, second = 0, decay;
  };
  std::vector<Element> expected;
  for (double value : {1.0, -2.0, 0.5, 3.0}) expected.push_back({value, 0, 0, 0.1});
  for (double value : {0.5, -1.5}) expected.push_back({value, 0, 0, 0.0});
  for (int step = 1; step <= 5; ++step) {
    optimizer.zero_gradients();
    at::Tensor loss = (matrix.square() * matrix).sum() + (2 * vector.square()).sum();
    loss.backward();
    optimizer.step(0.01);
    for (size_t i = 0; i < expected.size(); ++i) {
      Element& e = expected[i];
      double gradient = i < 4 ? 3 * e.value * e.value : 4 * e.value;
      e.first = 0.9 * e.first + 0.1 * gradient;
      e.second = 0.98 * e.second + 0.02 * gradient * gradient;
      e.value -= 0.01 * e.decay * e.value;
      e.value -=
          0.01 * (e.first / (1 - std::pow(0.9, step))) / (std::sqrt(e.second / (1 - std::pow(0.98, step))) + 1e-8);
    }
  }
  at::Tensor found = at::cat({matrix.detach().view(-1), vector.detach()});
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found[static_cast<int64_t>(i)].item<double>(), expected[i].value, 1e-5) << i;
}

TEST(AdamW, GoesOnFromItsState) {
  auto train = [](AdamW& optimizer, const at::Tensor& weight, int steps) {
    for (int i = 0; i < steps; ++i) {
      optimizer.zero_gradients();
      (weight.square().sum() * weight.sum()).backward();
      optimizer.step(0.05);
    }
  };
  at::Tensor whole = leaf({1, 2, 3, 4}, {2, 2}), parts = leaf({1, 2, 3, 4}, {2, 2});
  AdamW never_stopped({{"w", whole}}, {});
  train(never_stopped, whole, 6);

  AdamW before({{"w", parts}}, {});
  train(before, parts, 3);
  std::map<std::string, at::Tensor> state;
  for (const auto& [name, tensor] : before.state()) state[name] = tensor.clone();
  at::Tensor resumed_weight = parts.detach().clone().set_requires_grad(true);
  AdamW after({{"w", resumed_weight}}, {});
  after.load_state(state, "t");
  train(after, resumed_weight, 3);
  EXPECT_TRUE(at::equal(whole, resumed_weight));

  state.erase("w.second");
  EXPECT_THROW(after.load_state(state, "t"), Error);
}

TEST(AdamW, ClipsTheCommonNorm) {
  at::Tensor a = leaf({3}, {1}), b = leaf({4}, {1});
  AdamW optimizer({{"a", a}, {"b", b}}, {});
  (a.square() / 2 + b.square() / 2).sum().backward();  // gradients 3 and 4
  EXPECT_NEAR(optimizer.clip_gradients(1.0), 5.0, 1e-6);
  EXPECT_NEAR(a.grad().item<double>(), 0.6, 1e-6);
  EXPECT_NEAR(b.grad().item<double>(), 0.8, 1e-6);
  EXPECT_NEAR(optimizer.clip_gradients(0), 1.0, 1e-6);  // no limit: told, not changed
  EXPECT_NEAR(a.grad().item<double>(), 0.6, 1e-6);
}

TEST(CosineRate, WarmsUpAndFallsToTheFloor) {
  EXPECT_NEAR(cosine_rate(0, 10, 100, 1.0, 0.1), 0.1, 1e-12);
  EXPECT_NEAR(cosine_rate(9, 10, 100, 1.0, 0.1), 1.0, 1e-12);
  EXPECT_NEAR(cosine_rate(55, 10, 100, 1.0, 0.1), 0.55, 1e-12);
  EXPECT_NEAR(cosine_rate(100, 10, 100, 1.0, 0.1), 0.1, 1e-12);
  EXPECT_NEAR(cosine_rate(0, 0, 1, 1.0, 0.0), 1.0, 1e-12);
}

}  // namespace
}  // namespace nuri
