#include "nn/experts.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "weights/stores.h"

namespace nuri::nn {
namespace {

constexpr int64_t kCount = 5, kWidth = 12, kHidden = 20;

// Tensors under their names.
class MapStore : public WeightStore {
 public:
  explicit MapStore(std::map<std::string, at::Tensor> tensors) : tensors_(std::move(tensors)) {}
  bool has(const std::string& name) const override { return tensors_.contains(name); }
  at::Tensor take(const std::string& name, at::IntArrayRef shape, const Init&) override {
    EXPECT_EQ(tensors_.at(name).sizes(), shape) << name;
    return tensors_.at(name);
  }

 private:
  std::map<std::string, at::Tensor> tensors_;
};

struct Weights {
  at::Tensor gate_up = at::randn({kCount, 2 * kHidden, kWidth}) * 0.3;
  at::Tensor down = at::randn({kCount, kWidth, kHidden}) * 0.3;
};

WeightView view_of(std::map<std::string, at::Tensor> tensors) {
  return WeightView(std::make_shared<MapStore>(std::move(tensors)));
}

Experts experts_of(const WeightView& view, Experts::Layout layout = Experts::Layout::transposed) {
  return Experts(view, {kCount, kWidth, kHidden, ops::Activation::silu}, layout);
}

// A row at a time, by the definition.
at::Tensor one_by_one(const at::Tensor& x, const Routing& routing, const Weights& weights) {
  at::Tensor out = at::zeros_like(x);
  for (int64_t row = 0; row < x.size(0); ++row)
    for (int64_t i = 0; i < routing.experts.size(1); ++i) {
      int64_t expert = routing.experts[row][i].item<int64_t>();
      auto wide = weights.gate_up[expert].matmul(x[row]).chunk(2);
      at::Tensor answer = weights.down[expert].matmul(at::silu(wide[0]) * wide[1]);
      out[row] += answer * routing.weights[row][i];
    }
  return out;
}

at::Tensor weighed_sum(const Experts& experts, const at::Tensor& x, const Routing& routing) {
  Dispatch dispatch(routing.experts, kCount);
  return dispatch.combine(experts(dispatch.gather(x), dispatch) * dispatch.gather_weights(routing.weights));
}

Routing random_routing(int64_t rows, int64_t chosen) {
  at::Tensor experts = std::get<1>(at::rand({rows, kCount}).topk(chosen, -1));
  return {experts, at::rand({rows, chosen})};
}

TEST(Experts, EveryRowPassesItsOwn) {
  at::manual_seed(5);
  Weights weights;
  Experts experts = experts_of(view_of({{"gate_up_proj", weights.gate_up}, {"down_proj", weights.down}}));
  for (int64_t rows : {1, 2, 7, 60})
    for (int64_t chosen : {1, 2, 5}) {
      at::Tensor x = at::randn({rows, kWidth});
      Routing routing = random_routing(rows, chosen);
      EXPECT_TRUE(at::allclose(weighed_sum(experts, x, routing), one_by_one(x, routing, weights), 1e-4, 1e-5));
    }
}

TEST(Experts, EverySpellingIsTheSame) {
  at::manual_seed(6);
  Weights weights;
  std::map<std::string, at::Tensor> apart;
  for (int64_t i = 0; i < kCount; ++i) {
    std::string name = std::to_string(i);
    apart[name + ".w1.weight"] = weights.gate_up[i].narrow(0, 0, kHidden);
    apart[name + ".w3.weight"] = weights.gate_up[i].narrow(0, kHidden, kHidden);
    apart[name + ".w2.weight"] = weights.down[i];
  }
  at::Tensor right_gate_up = weights.gate_up.transpose(1, 2).contiguous(),
             right_down = weights.down.transpose(1, 2).contiguous();
  Experts separate = experts_of(view_of(apart));
  Experts direct =
      experts_of(view_of({{"gate_up_proj", right_gate_up}, {"down_proj", right_down}}), Experts::Layout::direct);
  for (int64_t rows : {1, 9, 80}) {
    at::Tensor x = at::randn({rows, kWidth});
    Routing routing = random_routing(rows, 2);
    at::Tensor expected = one_by_one(x, routing, weights);
    EXPECT_TRUE(at::allclose(weighed_sum(separate, x, routing), expected, 1e-4, 1e-5));
    EXPECT_TRUE(at::allclose(weighed_sum(direct, x, routing), expected, 1e-4, 1e-5));
  }
  EXPECT_EQ(direct.parameters_of_one(), 3 * kWidth * kHidden);
}

TEST(Experts, GradientsAreThoseOfTheDefinition) {
  at::manual_seed(7);
  at::AutoGradMode on(true);
  Weights weights;
  at::Tensor start = at::randn({6, kWidth}), direction = at::randn({6, kWidth});
  Routing routing = random_routing(6, 2);
  routing.experts.clamp_(0, kCount - 2);  // nobody passes the last one, and some twice the same
  auto gradients = [&](bool by_definition) {
    Weights mine{weights.gate_up.clone().requires_grad_(), weights.down.clone().requires_grad_()};
    at::Tensor x = start.clone().requires_grad_();
    Routing way{routing.experts, routing.weights.clone().requires_grad_()};
    Experts experts = experts_of(view_of({{"gate_up_proj", mine.gate_up}, {"down_proj", mine.down}}));
    at::Tensor out;
    if (by_definition) {
      std::vector<at::Tensor> rows;
      for (int64_t row = 0; row < x.size(0); ++row) {
        at::Tensor sum = at::zeros({kWidth});
        for (int64_t i = 0; i < 2; ++i) {
          int64_t expert = way.experts[row][i].item<int64_t>();
          auto wide = mine.gate_up[expert].matmul(x[row]).chunk(2);
          sum = sum + mine.down[expert].matmul(at::silu(wide[0]) * wide[1]) * way.weights[row][i];
        }
        rows.push_back(sum);
      }
      out = at::stack(rows);
    } else {
      out = weighed_sum(experts, x, way);
    }
    (out * direction).sum().backward();
    return std::vector<at::Tensor>{x.grad(), way.weights.grad(), mine.gate_up.grad(), mine.down.grad()};
  };
  auto found = gradients(false), expected = gradients(true);
  for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(at::allclose(found[i], expected[i], 1e-4, 1e-5)) << i;
}

TEST(Dispatch, ADryRunCountsRowsEvenly) {
  Dispatch dispatch(at::empty({7, 2}, at::TensorOptions(at::kLong).device(at::kMeta)), 4);
  EXPECT_EQ(dispatch.counts(), (std::vector<int64_t>{4, 4, 3, 3}));
}

}  // namespace
}  // namespace nuri::nn
