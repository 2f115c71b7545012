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
  OptimizerOptions options;
  options.weight_decay = 0.1;
  Optimizer optimizer({{"matrix", matrix}, {"vector", vector}}, options);

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
  auto train = [](Optimizer& optimizer, const at::Tensor& weight, int steps) {
    for (int i = 0; i < steps; ++i) {
      optimizer.zero_gradients();
      (weight.square().sum() * weight.sum()).backward();
      optimizer.step(0.05);
    }
  };
  at::Tensor whole = leaf({1, 2, 3, 4}, {2, 2}), parts = leaf({1, 2, 3, 4}, {2, 2});
  Optimizer never_stopped({{"w", whole}}, {});
  train(never_stopped, whole, 6);

  Optimizer before({{"w", parts}}, {});
  train(before, parts, 3);
  std::map<std::string, at::Tensor> state;
  for (const auto& [name, tensor] : before.state()) state[name] = tensor.clone();
  at::Tensor resumed_weight = parts.detach().clone().set_requires_grad(true);
  Optimizer after({{"w", resumed_weight}}, {});
  after.load_state(state, "t");
  train(after, resumed_weight, 3);
  EXPECT_TRUE(at::equal(whole, resumed_weight));

  state.erase("w.second");
  EXPECT_THROW(after.load_state(state, "t"), Error);
}

TEST(Muon, BringsSingularValuesNearOne) {
  at::manual_seed(5);
  for (auto [rows, columns] : {std::pair{12, 12}, std::pair{40, 8}, std::pair{8, 40}}) {
    at::Tensor x = orthogonalized(at::randn({rows, columns}) * 7);
    ASSERT_EQ(x.sizes(), at::IntArrayRef({rows, columns}));
    at::Tensor values = std::get<1>(at::linalg_svd(x, false));
    EXPECT_GT(values.min().item<double>(), 0.3);
    EXPECT_LT(values.max().item<double>(), 1.3);
  }
}

TEST(Muon, StepsInTheMatricesThatFit) {
  at::Tensor layer = leaf({3, 0, 0, 3}, {2, 2}), other = leaf({3, 0, 0, 3}, {2, 2}), bias = leaf({1, 1}, {2});
  OptimizerOptions options;
  options.muon = {"layers.*"};
  options.weight_decay = 0;
  Optimizer optimizer({{"layers.0.weight", layer}, {"head.weight", other}, {"layers.0.bias", bias}}, options);
  // The gradient is the identity times 6: its nearest orthogonal matrix is the identity, at any scale.
  (layer.square().sum() + other.square().sum() + bias.square().sum()).backward();
  optimizer.step(0.1);
  at::Tensor nearest = orthogonalized(at::eye(2));
  EXPECT_TRUE(at::allclose(layer.detach(), 3 * at::eye(2) - 0.1 * 0.2 * std::sqrt(2.0) * nearest, 1e-5, 1e-6));
  EXPECT_NEAR(other[0][0].item<double>(), 2.9, 1e-5);  // AdamW's first step is the learning rate
  EXPECT_NEAR(bias[0].item<double>(), 0.9, 1e-5);

  std::vector<std::string> names;
  for (const auto& [name, tensor] : optimizer.state()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"layers.0.weight.first", "head.weight.first", "head.weight.second",
                                             "head.weight.step", "layers.0.bias.first", "layers.0.bias.second",
                                             "layers.0.bias.step"}));
}

TEST(Muon, LeavesAdamWItsShareOfTheRate) {
  at::Tensor layer = leaf({3, 0, 0, 3}, {2, 2}), head = leaf({3, 0, 0, 3}, {2, 2}), bias = leaf({1, 1}, {2});
  OptimizerOptions options;
  options.muon = {"layer"};
  options.weight_decay = 0;
  options.adamw_share = 0.25;
  Optimizer optimizer({{"layer", layer}, {"head", head}, {"bias", bias}}, options);
  (layer.square().sum() + head.square().sum() + bias.square().sum()).backward();
  optimizer.step(0.1);
  EXPECT_TRUE(at::allclose(layer.detach(), 3 * at::eye(2) - 0.1 * 0.2 * std::sqrt(2.0) * orthogonalized(at::eye(2)),
                           1e-5, 1e-6));
  EXPECT_NEAR(head[0][0].item<double>(), 3 - 0.025, 1e-5);
  EXPECT_NEAR(bias[0].item<double>(), 1 - 0.025, 1e-5);
}

TEST(Optimizer, ClipsTheCommonNorm) {
  at::Tensor a = leaf({3}, {1}), b = leaf({4}, {1});
  Optimizer optimizer({{"a", a}, {"b", b}}, {});
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
