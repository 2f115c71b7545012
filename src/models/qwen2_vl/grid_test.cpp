#include "models/qwen2_vl/grid.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace nuri {
namespace {

using testing::ElementsAre;

TEST(VisionGrid, PatchesOfATokenLieTogether) {
  FramePlaces places = frame_places({1, 2, 4}, 2);
  EXPECT_THAT(places.rows, ElementsAre(0, 0, 1, 1, 0, 0, 1, 1));
  EXPECT_THAT(places.columns, ElementsAre(0, 1, 0, 1, 2, 3, 2, 3));
}

TEST(VisionGrid, WindowsAtTheEdgesAreSmaller) {
  FrameWindows windows = frame_windows({1, 6, 6}, 2, 2);  // 3 x 3 tokens
  EXPECT_THAT(windows.order, ElementsAre(0, 1, 3, 4, 2, 5, 6, 7, 8));
  EXPECT_THAT(windows.lengths, ElementsAre(4, 2, 2, 1));
}

TEST(VisionGrid, TextGoesOnBehindTheLongerSide) {
  // Two words, a picture of 2 x 3 tokens, a word.
  at::Tensor types = at::tensor({0, 0, 1, 1, 1, 1, 1, 1, 0}, at::kLong).unsqueeze(0);
  TokenPositions found = token_positions(types, {}, {{{1, 4, 6}}, {}, {}}, 2);
  EXPECT_TRUE(found.positions[0][0].equal(at::tensor({0, 1, 2, 2, 2, 2, 2, 2, 5}, at::kLong)));
  EXPECT_TRUE(found.positions[1][0].equal(at::tensor({0, 1, 2, 2, 2, 3, 3, 3, 5}, at::kLong)));
  EXPECT_TRUE(found.positions[2][0].equal(at::tensor({0, 1, 2, 3, 4, 2, 3, 4, 5}, at::kLong)));
  EXPECT_THAT(found.shifts, ElementsAre(-3));
}

TEST(VisionGrid, FramesOfAVideoAreApartInTime) {
  at::Tensor types = at::tensor({2, 2, 2, 0}, at::kLong).unsqueeze(0);
  TokenPositions found = token_positions(types, {}, {{}, {{3, 2, 2}}, {1.5}}, 2);
  EXPECT_TRUE(found.positions[0][0].equal(at::tensor({0, 1, 3, 1}, at::kLong)));
  EXPECT_THAT(found.shifts, ElementsAre(0));
}

TEST(VisionGrid, PaddingHasNoPosition) {
  at::Tensor types = at::tensor({0, 0, 0, 1, 0}, at::kLong).unsqueeze(0);
  at::Tensor mask = at::tensor({0, 0, 1, 1, 1}, at::kLong).to(at::kBool).unsqueeze(0);
  TokenPositions found = token_positions(types, mask, {{{1, 2, 2}}, {}, {}}, 2);
  EXPECT_TRUE(found.positions[2][0].equal(at::tensor({0, 0, 0, 1, 2}, at::kLong)));
  EXPECT_THAT(found.shifts, ElementsAre(0));
}

TEST(VisionGrid, RefusesWhatDoesNotFit) {
  auto read = [](std::vector<int64_t> grid, int64_t patches) {
    NamedTensors inputs{{"image_grid_thw", at::tensor(grid, at::kLong).view({-1, 3})}};
    return read_grids(inputs, "image_grid_thw", 2, patches);
  };
  EXPECT_EQ(read({1, 2, 2, 1, 4, 2}, 12).size(), 2u);
  EXPECT_THROW(read({1, 2, 2}, 5), Error);
  EXPECT_THROW(read({1, 3, 2}, 6), Error);
  EXPECT_THROW(read({0, 2, 2}, 0), Error);
  EXPECT_THROW(read({1, 2, -2}, 4), Error);
  EXPECT_THROW(read({int64_t{1} << 32, int64_t{1} << 31, 2}, 4), Error);
  at::Tensor types = at::tensor({1, 1, 0}, at::kLong).unsqueeze(0);
  EXPECT_THROW(token_positions(types, {}, {{{1, 2, 2}}, {}, {}}, 2), Error);  // two tokens in a grid of one
  EXPECT_THROW(token_positions(types, {}, {{}, {}, {}}, 2), Error);
  EXPECT_THROW(token_positions(types + 2, {}, {{{1, 2, 4}}, {}, {}}, 2), Error);
}

}  // namespace
}  // namespace nuri
