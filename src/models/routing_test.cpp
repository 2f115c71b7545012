// What a model of experts tells of its routing while it runs.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "models/registry.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(NURI_SOURCE_DIR) / "tests/parity/golden/models";

class Routing : public testing::TestWithParam<std::string> {};

TEST_P(Routing, IsToldByForwardAndByStepsAlike) {
  at::NoGradGuard no_grad;
  OpenedModel opened = open_model(kGolden / GetParam(), {at::kFloat, at::kCPU});
  auto& model = dynamic_cast<CausalLM&>(*opened.model);
  at::Tensor ids = at::arange(1, 12, at::kLong).unsqueeze(0);
  Tap whole, pieces;
  model.show(&whole);
  at::Tensor logits = model.forward({{"input_ids", ids}})["logits"];
  model.show(&pieces);
  DecoderInput input = model.embed({{"input_ids", ids}})[0];
  nn::KvCache cache(model.cache_shape(), 2, at::kFloat);
  nn::CachedSequence sequence(cache);
  at::Tensor positions = at::arange(11, at::kLong), last;
  for (auto [begin, count] : {std::pair<int64_t, int64_t>{0, 6}, {6, 4}, {10, 1}})
    last = model.step({input.embeddings.narrow(0, begin, count),
                       positions.narrow(0, begin, count),
                       {{0, count, &sequence}},
                       {count - 1}},
                      cache);
  EXPECT_TRUE(at::allclose(last[0], logits[0][10], 1e-4, 1e-5));

  ASSERT_FALSE(whole.routing.empty());
  size_t layers = whole.routing.size();
  ASSERT_EQ(pieces.routing.size(), 3 * layers);
  for (size_t i = 0; i < layers; ++i) {
    const auto& [layer, routing] = whole.routing[i];
    EXPECT_EQ(routing.experts.size(0), 11);
    std::vector<at::Tensor> experts, weights;
    for (size_t piece = 0; piece < 3; ++piece) {
      EXPECT_EQ(pieces.routing[piece * layers + i].layer, layer);
      experts.push_back(pieces.routing[piece * layers + i].routing.experts);
      weights.push_back(pieces.routing[piece * layers + i].routing.weights);
    }
    EXPECT_TRUE(at::equal(at::cat(experts), routing.experts));
    EXPECT_TRUE(at::allclose(at::cat(weights), routing.weights, 1e-4, 1e-5));
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, Routing,
                         testing::Values("mixtral", "mixtral_together", "llama4_text", "llama4_text_dense"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nuri
