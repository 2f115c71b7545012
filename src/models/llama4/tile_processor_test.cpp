#include "models/llama4/tile_processor.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/test_support.h"
#include "media/golden_pictures.h"

namespace nuri {
namespace {

using ::testing::HasSubstr;

TileProcessorConfig config_of(const Json& json) { return read_tile_processor_config(ConfigReader(json, "file.json")); }

// The pattern of tests/parity/tiles.py.
Image picture(int64_t width, int64_t height) {
  Image image(width, height, 3);
  for (int64_t i = 0; i < std::ssize(image.pixels); ++i)
    image.pixels[static_cast<size_t>(i)] = static_cast<uint8_t>(i * 37 + i / 91 + i / 3 / width * 5);
  return image;
}

TEST(TileProcessor, EqualsTheReference) {
  Json golden = read_json_file(golden_pictures() / "tiles.json");
  ASSERT_FALSE(golden["cases"].empty());
  for (const auto& expected : golden["cases"]) {
    SCOPED_TRACE(expected.dump());
    TileProcessor processor(config_of(expected["config"]));
    Image image = picture(expected["size"][0], expected["size"][1]);
    PreparedPictures made = processor.prepare(std::span(&image, 1));
    const auto& values = std::get<std::vector<float>>(made.arrays.at(0).values);
    EXPECT_EQ(made.arrays[0].shape, expected["shape"].get<std::vector<int64_t>>());
    EXPECT_EQ(std::get<std::vector<int64_t>>(made.arrays.at(1).values), expected["ratio"].get<std::vector<int64_t>>());
    EXPECT_EQ(made.geometry.at(0).output_height / processor.side(), expected["ratio"][0].get<int64_t>());
    EXPECT_EQ(made.geometry[0].output_width / processor.side(), expected["ratio"][1].get<int64_t>());
    EXPECT_EQ(checksum(values.data(), values.size() * sizeof(float)), expected["crc"].get<uint32_t>());
  }
}

TEST(TileProcessor, ChoosesTheReferencesCanvas) {
  Json golden = read_json_file(golden_pictures() / "tiles.json");
  ASSERT_GT(golden["grids"].size(), 100u);
  for (const auto& expected : golden["grids"]) {
    auto numbers = expected.get<std::vector<int64_t>>();
    TileGrid grid = best_grid(numbers[0], numbers[1], {});
    std::vector<int64_t> found = {numbers[0],   numbers[1],          grid.rows,
                                  grid.columns, grid.resized_height, grid.resized_width};
    EXPECT_EQ(found, numbers);
  }
}

TEST(TileProcessor, SeveralPicturesStandOneBehindAnother) {
  TileProcessor processor(config_of({{"size", {{"height", 8}, {"width", 8}}}}));
  std::vector<Image> images = {picture(8, 8), picture(20, 9), picture(3, 30)};
  PreparedPictures all = processor.prepare(images);
  std::vector<float> joined;
  int64_t tiles = 0;
  for (const Image& image : images) {
    PreparedPictures one = processor.prepare(std::span(&image, 1));
    const auto& values = std::get<std::vector<float>>(one.arrays[0].values);
    joined.insert(joined.end(), values.begin(), values.end());
    tiles += one.arrays[0].shape[0];
  }
  EXPECT_EQ(std::get<std::vector<float>>(all.arrays[0].values), joined);
  EXPECT_EQ(all.arrays[0].shape, (std::vector<int64_t>{tiles, 3, 8, 8}));
}

TEST(TileProcessor, Refusals) {
  auto message = [](const Json& json) -> std::string { return message_of([&] { config_of(json); }); };
  EXPECT_THAT(message({{"do_resize", false}}), HasSubstr("do_resize: found false, expected true"));
  EXPECT_THAT(message({{"size", {{"height", 8}, {"width", 9}}}}), HasSubstr("size"));
  EXPECT_THAT(message({{"max_patches", 1 << 30}}), HasSubstr("max_patches"));
  EXPECT_THAT(message({{"resample", 3}}), HasSubstr("resample: found 3"));
  EXPECT_THAT(message({{"image_processor_type", "CLIPImageProcessor"}}), HasSubstr("Llama4ImageProcessor"));
  EXPECT_THAT(message({{"image_std", {1, 0, 1}}}), HasSubstr("image_std"));
  EXPECT_EQ(message({{"image_processor_type", "Llama4ImageProcessorFast"}, {"size", 28}}), "no error");
  TileProcessor vast(config_of({{"size", 10000}}));
  Image tall(1, 20000, 3);
  EXPECT_THROW(vast.prepare(std::span(&tall, 1)), Error);
}

}  // namespace
}  // namespace nuri
