#include "media/draw.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace nuri {
namespace {

const TextRenderer& renderer() {
  static TextRenderer one = TextRenderer::with_system_fonts(true);
  return one;
}

int64_t count_color(const Image& image, const Color& color) {
  int64_t count = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3)
    count += image.pixels[i] == color.red && image.pixels[i + 1] == color.green && image.pixels[i + 2] == color.blue;
  return count;
}

TEST(TextRenderer, MeasuresWhatItDraws) {
  for (const char* text : {"apple", "빨간 사과", "jÅg|", "¿Qué?", "漢字かな", "Ёж"}) {
    Image image(400, 120, 1);
    TextExtent extent = renderer().measure(text, 40);
    renderer().draw(image, text, 30, 80, 40, {255, 255, 255});
    int64_t left = image.width, right = 0, top = image.height, bottom = 0;
    for (int64_t y = 0; y < image.height; ++y)
      for (int64_t x = 0; x < image.width; ++x)
        if (image.row(y)[x] > 0) {
          left = std::min(left, x), right = std::max(right, x + 1);
          top = std::min(top, y), bottom = std::max(bottom, y + 1);
        }
    EXPECT_NEAR(double(left), 30 + extent.left, 1.5) << text;
    EXPECT_NEAR(double(right), 30 + extent.right, 1.5) << text;
    EXPECT_NEAR(double(top), 80 + extent.top, 1.5) << text;
    EXPECT_NEAR(double(bottom), 80 + extent.bottom, 1.5) << text;
    EXPECT_GT(extent.ascent, 20) << text;
    EXPECT_LT(extent.right, extent.width + 5) << text;
  }
  EXPECT_EQ(renderer().measure("", 20).width, 0);
  EXPECT_EQ(renderer().measure("  ", 20).right, 0);
}

TEST(TextRenderer, ComposesAndSurvivesBrokenText) {
  // Hangul as separate letters (as some file systems store it) is the same text.
  EXPECT_EQ(renderer().measure("\u1112\u1161\u11AB", 30).width, renderer().measure("한", 30).width);
  EXPECT_TRUE(renderer().has(U'한'));
  Image image(60, 30, 4);
  renderer().draw(image, "\xff\xfe a\n\xe1\x84", 2, 20, 15, {0, 0, 0});
  renderer().draw(image, "far away", -5000, -5000, 15, {0, 0, 0});
  renderer().draw(image, "far away", 1e12, NAN, 15, {0, 0, 0});
  EXPECT_THROW(renderer().measure("a", 0), Error);
  EXPECT_THROW(renderer().measure("a", NAN), Error);
  EXPECT_THROW(renderer().measure("a", 1e9), Error);
  EXPECT_THROW(TextRenderer({"/nonexistent.ttf"}), Error);
  EXPECT_THROW(TextRenderer({std::filesystem::path(NURI_SOURCE_DIR) / "CMakeLists.txt"}), Error);
  EXPECT_THROW(TextRenderer(std::vector<std::filesystem::path>{}), Error);
}

TEST(DrawBoxes, FrameLiesOnTheBox) {
  Image grey(800, 600, 3);
  std::fill(grey.pixels.begin(), grey.pixels.end(), 128);
  DrawnBox box{"", 200, 150, 500, 450};
  Image drawn = draw_boxes(grey, std::span(&box, 1), renderer(), {.line_width = 4});
  Color color = distinct_color(0);
  auto at = [&](int64_t x, int64_t y) {
    const uint8_t* p = drawn.row(y) + 3 * x;
    return Color{p[0], p[1], p[2]};
  };
  EXPECT_EQ(at(200, 300), color);
  EXPECT_EQ(at(499, 300), color);
  EXPECT_EQ(at(350, 150), color);
  EXPECT_EQ(at(350, 449), color);
  EXPECT_EQ(at(350, 300), (Color{128, 128, 128}));
  EXPECT_EQ(at(190, 300), (Color{128, 128, 128}));
}

TEST(DrawBoxes, SmallPicturesGrowByAWholeFactor) {
  Image small(160, 120, 3);
  EXPECT_EQ(draw_boxes(small, {}, renderer()).width, 640);
  EXPECT_EQ(draw_boxes(small, {}, renderer(), {.min_long_side = 0}).width, 160);
  EXPECT_EQ(draw_boxes(small, {}, renderer(), {.min_long_side = 700}).height, 600);
  EXPECT_EQ(draw_boxes(Image(700, 20, 3), {}, renderer()).height, 20);
}

TEST(DrawBoxes, OddBoxesAndLabels) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();
  Image image(100, 80, 3);
  std::vector<DrawnBox> boxes = {{"crossed", 80, 60, 10, 20},
                                 {"outside", 500, 500, 900, 900},
                                 {"left of it", -90, -80, -20, -10},
                                 {"point", 50, 40, 50, 40},
                                 {"nan", kNan, 0, 10, 10},
                                 {"infinite", 0, 0, kInfinity, 10},
                                 {"huge", -1e300, -1e300, 1e300, 1e300},
                                 {std::string(5000, 'x'), 1, 1, 99, 79},
                                 {"아주 긴 이름표가 있는 상자 아주 긴 이름표", 5, 5, 30, 30},
                                 {"\xff\xff", 5, 50, 30, 70}};
  Image drawn = draw_boxes(image, boxes, renderer());
  EXPECT_EQ(drawn.width, 700);
  EXPECT_GT(count_color(drawn, distinct_color(0)), 100);
  EXPECT_GT(count_color(drawn, distinct_color(1)), 100);  // the plate, if nothing else
  EXPECT_EQ(count_color(drawn, distinct_color(4)), 0);
  // Pictures too small for any text still come out.
  for (auto [width, height] : {std::pair(1, 1), std::pair(3, 900), std::pair(900, 2)})
    draw_boxes(Image(width, height, 3), boxes, renderer(), {.min_long_side = 0});
}

TEST(DrawBoxes, ColorsAreDistinct) {
  for (size_t i = 0; i < 40; ++i)
    for (size_t k = 0; k < i; ++k) EXPECT_FALSE(distinct_color(i) == distinct_color(k)) << i << " " << k;
}

}  // namespace
}  // namespace nuri
