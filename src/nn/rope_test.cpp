#include "nn/rope.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace nuri::nn {
namespace {

RopeShape with_sections() {
  RopeShape shape;
  shape.head_dim = 8;
  shape.sections = {1, 2, 1};
  return shape;
}

TEST(Rope, SectionsFollowTimeHeightAndWidth) {
  at::Tensor positions = at::tensor({5, 0, 7, 1, 9, 2}, at::kLong).view({3, 2});
  Angles found = Rope(with_sections())(positions, {});
  RopeShape plain = with_sections();
  plain.sections.clear();
  Rope one(plain);
  int64_t plane_of[] = {0, 1, 1, 2};
  for (int64_t i = 0; i < 4; ++i) {
    Angles expected = one(positions[plane_of[i]], {});
    EXPECT_TRUE(found.cosine.select(1, i).equal(expected.cosine.select(1, i)));
    EXPECT_TRUE(found.sine.select(1, i).equal(expected.sine.select(1, i)));
  }
}

TEST(Rope, OneNumberStandsForAllThree) {
  at::Tensor positions = at::arange(4, at::kLong);
  Rope rope(with_sections());
  EXPECT_TRUE(rope(positions, {}).sine.equal(rope(positions.expand({3, 4}), {}).sine));
}

TEST(Rope, RefusesWhatItCannotPlace) {
  RopeShape shape = with_sections();
  shape.sections = {1, 1};
  EXPECT_THROW(Rope{shape}, Error);
  shape.sections.clear();
  Rope rope(shape);
  EXPECT_THROW(rope(at::zeros({3, 2}, at::kLong), {}), Error);
}

}  // namespace
}  // namespace nuri::nn
