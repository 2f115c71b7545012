#include "models/parts/vision/picture_cache.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nuri {
namespace {

using testing::ElementsAre;

class PictureCacheTest : public testing::Test {
 protected:
  // Twice the picture; remembers which were asked for.
  std::vector<at::Tensor> see(PictureCache& cache, const std::vector<at::Tensor>& pictures) {
    asked.clear();
    return cache(pictures, [&](const std::vector<size_t>& missing) {
      std::vector<at::Tensor> made;
      for (size_t i : missing) made.push_back(pictures[i] * 2), asked.push_back(i);
      return made;
    });
  }
  std::vector<size_t> asked;
};

TEST_F(PictureCacheTest, EncodesEachPictureOnce) {
  PictureCache cache;
  at::Tensor a = at::randn({3, 5}), b = at::randn({3, 5});
  see(cache, {a});
  EXPECT_THAT(asked, ElementsAre(0));
  auto features = see(cache, {b, a});
  EXPECT_THAT(asked, ElementsAre(0));
  EXPECT_TRUE(at::equal(features[0], b * 2));
  EXPECT_TRUE(at::equal(features[1], a * 2));
  see(cache, {a.clone(), b.clone()});
  EXPECT_TRUE(asked.empty());
}

TEST_F(PictureCacheTest, OneValueTheShapeAndTheTypeTellPicturesApart) {
  PictureCache cache;
  at::Tensor a = at::zeros({3, 5}), changed = a.clone();
  changed[2][4] = 1e-30;
  see(cache, {a});
  see(cache, {changed, a.view({5, 3}), a.to(at::kHalf), at::zeros({3, 4})});
  EXPECT_THAT(asked, ElementsAre(0, 1, 2, 3));
}

TEST_F(PictureCacheTest, ForgetsWhatWasLongestUnused) {
  PictureCache cache(2 * 4 * 10);
  std::vector<at::Tensor> pictures;
  for (int i = 0; i < 3; ++i) pictures.push_back(at::full({10}, i));
  for (auto& picture : pictures) picture = picture.to(at::kFloat);
  see(cache, {pictures[0], pictures[1]});
  see(cache, {pictures[0]});
  see(cache, {pictures[2]});
  EXPECT_EQ(cache.bytes(), 80);
  see(cache, {pictures[0], pictures[2]});
  EXPECT_TRUE(asked.empty());
  see(cache, {pictures[1]});
  EXPECT_THAT(asked, ElementsAre(0));
  see(cache, {at::zeros({100})});  // larger than all room: used and not kept
  EXPECT_LE(cache.bytes(), 80);
}

}  // namespace
}  // namespace nuri
