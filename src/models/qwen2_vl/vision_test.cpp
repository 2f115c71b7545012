#include "models/qwen2_vl/vision.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "weights/stores.h"

namespace nuri {
namespace {

QwenVisionConfig tiny(QwenVisionConfig::Kind kind) {
  QwenVisionConfig c{};
  c.kind = kind;
  c.layers = 2, c.width = 16, c.hidden = 24, c.heads = 2, c.channels = 1;
  c.patch = 2, c.temporal_patch = 1, c.merge = 2, c.out_width = 12;
  c.activation = "gelu", c.theta = 10000;
  c.window = 24;  // 6 tokens on a side: 36 tokens are no divisor of what is worked on at a time
  c.full_attention = {false, true};
  return c;
}

class QwenVisionTest : public testing::TestWithParam<QwenVisionConfig::Kind> {};

// Without a graph some rows are worked on at a time, in place; with one, all at once.
TEST_P(QwenVisionTest, PiecesMakeNoDifference) {
  QwenVisionConfig config = tiny(GetParam());
  QwenVision vision(WeightView(std::make_shared<TrainingStore>(7)), config);
  std::vector<VisionGrid> grids{{1, 74, 66}, {5, 22, 38}, {1, 2, 2}};  // a frame of 4,884 patches, a film, a token
  int64_t patches = 0;
  for (const VisionGrid& grid : grids) patches += grid.patches();
  at::manual_seed(1);
  at::Tensor values = at::randn({patches, config.patch_values()});
  at::Tensor whole = vision.encode(values, grids), pieces;
  {
    at::NoGradGuard no_grad;
    pieces = vision.encode(values, grids);
  }
  EXPECT_EQ(pieces.sizes(), at::IntArrayRef({patches / 4, 12}));
  EXPECT_LT((whole - pieces).abs().max().item<double>(), 1e-5 * whole.abs().max().item<double>());
}

// A picture so large that its many heads attend some behind others.
TEST_P(QwenVisionTest, BlocksOfHeadsMakeNoDifference) {
  QwenVisionConfig config = tiny(GetParam());
  config.heads = 250, config.width = 1000, config.layers = 1, config.full_attention = {true};
  QwenVision vision(WeightView(std::make_shared<TrainingStore>(8)), config);
  at::manual_seed(3);
  at::Tensor values = at::randn({32 * 34, config.patch_values()});
  at::Tensor whole = vision.encode(values, {{1, 32, 34}}), blocks;
  {
    at::NoGradGuard no_grad;
    blocks = vision.encode(values, {{1, 32, 34}});
  }
  EXPECT_LT((whole - blocks).abs().max().item<double>(), 1e-5 * whole.abs().max().item<double>());
}

// A picture sees no other, and each frame of a film is a picture.
TEST_P(QwenVisionTest, FramesAreApart) {
  at::NoGradGuard no_grad;
  QwenVisionConfig config = tiny(GetParam());
  QwenVision vision(WeightView(std::make_shared<TrainingStore>(7)), config);
  at::manual_seed(2);
  at::Tensor values = at::randn({3 * 8 * 12, config.patch_values()});
  at::Tensor film = vision.encode(values, {{3, 8, 12}});
  at::Tensor frames = vision.encode(values, {{1, 8, 12}, {2, 8, 12}});
  EXPECT_LT((film - frames).abs().max().item<double>(), 1e-5 * film.abs().max().item<double>());
}

INSTANTIATE_TEST_SUITE_P(Kinds, QwenVisionTest,
                         testing::Values(QwenVisionConfig::Kind::qwen2, QwenVisionConfig::Kind::qwen2_5));

}  // namespace
}  // namespace nuri
