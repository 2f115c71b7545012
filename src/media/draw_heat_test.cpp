#include "media/draw_heat.h"

#include <gtest/gtest.h>

namespace nuri {
namespace {

Image grey(int64_t width, int64_t height) {
  Image image(width, height, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{128});
  return image;
}

int blueness(const Image& image, int64_t x, int64_t y) { return image.row(y)[3 * x + 2]; }

TEST(DrawHeat, StrongerIsDarker) {
  Image image = grey(80, 40);
  HeatPicture picture{&image, {{0, 0, 20, 40, 0}, {20, 0, 40, 40, 1}, {40, 0, 60, 40, 4}, {60, 0, 80, 40, -9}}, {}};
  Image drawn = draw_heat({&picture, 1}, "meaning", TextRenderer::with_system_fonts());
  EXPECT_GE(drawn.width, 640);
  int64_t y = 100;                                          // enlarged eight times
  EXPECT_EQ(blueness(drawn, 80, y), drawn.row(y)[3 * 80]);  // no colour where there is no strength
  EXPECT_EQ(blueness(drawn, 560, y), drawn.row(y)[3 * 560]);
  EXPECT_LT(blueness(drawn, 240, y), drawn.row(y)[3 * 240]);
  auto brightness = [&](int64_t x) { return drawn.row(y)[3 * x] + drawn.row(y)[3 * x + 1] + drawn.row(y)[3 * x + 2]; };
  EXPECT_LT(brightness(400), brightness(240));
}

TEST(DrawHeat, AnyPicturesOnOneSheet) {
  TextRenderer renderer = TextRenderer::with_system_fonts();
  std::vector<Image> images{grey(1, 1), grey(3000, 2), grey(2, 3000), grey(50, 60), grey(700, 700)};
  std::vector<HeatPicture> pictures;
  for (const Image& image : images) pictures.push_back({&image, {{0, 0, 1e9, 1e9, 1}}, {{-5, -5, 1e9, 1e9, 2}}});
  Image sheet = draw_heat(pictures, "meaning", renderer);
  EXPECT_EQ(sheet.pixels.size(), static_cast<size_t>(sheet.width * sheet.height * 3));
  for (auto& picture : pictures) picture.cells.clear(), picture.outlined.clear();
  Image plain = draw_heat(pictures, "nothing", renderer);
  EXPECT_LT(plain.height, sheet.height);  // without a scale
}

}  // namespace
}  // namespace nuri
