// Decoding and resizing against Pillow, to the byte.
#include "media/golden_pictures.h"
#include "media/resize.h"

namespace nuri {
namespace {

TEST(PictureParity, Decode) {
  Json cases = golden_cases();
  ASSERT_FALSE(cases["decode"].empty());
  for (const auto& [file, expected] : cases["decode"].items()) {
    SCOPED_TRACE(file);
    Image image = read_image(golden_pictures() / file);
    EXPECT_EQ(image.channels, 3);
    EXPECT_EQ(image.width, expected["width"].get<int64_t>());
    EXPECT_EQ(image.height, expected["height"].get<int64_t>());
    EXPECT_EQ(checksum(image), expected["rgb"].get<uint32_t>());
    Image with_alpha = read_image(golden_pictures() / file, {}, Alpha::keep);
    EXPECT_EQ(with_alpha.channels, expected.contains("rgba") ? 4 : 3);
    if (expected.contains("rgba"))
      EXPECT_EQ(checksum(with_alpha), expected["rgba"].get<uint32_t>());
    else
      EXPECT_EQ(with_alpha, image);
  }
}

Image with_channels(Image image, int channels) {
  if (channels != 1) return image;
  Image red(image.width, image.height, 1);
  for (size_t i = 0; i < red.pixels.size(); ++i) red.pixels[i] = image.pixels[i * image.channels];
  return red;
}

TEST(PictureParity, Resize) {
  Json cases = golden_cases();
  ASSERT_FALSE(cases["resize"].empty());
  for (const auto& expected : cases["resize"]) {
    SCOPED_TRACE(expected.dump());
    int channels = expected["channels"];
    Image image = read_image(golden_pictures() / expected["file"].get<std::string>(), {},
                             channels == 4 ? Alpha::keep : Alpha::drop);
    image = with_channels(std::move(image), channels);
    ASSERT_EQ(image.channels, channels);
    int64_t width = expected["width"], height = expected["height"];
    auto filter = static_cast<Resample>(expected["filter"].get<int>());
    Image resized = resize(image, width, height, filter);
    EXPECT_EQ(checksum(resized), expected["crc"].get<uint32_t>());
    // A part is the same pixels.
    Rect part{width / 3, height / 4, width - width / 3, height - height / 4 - height / 5};
    Image piece = resize(image, width, height, filter, part);
    Image cut = resize(resized, width, height, filter, part);
    EXPECT_EQ(piece, cut);
  }
}

}  // namespace
}  // namespace nuri
