#include "models/parts/processors/image_processor.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/test_support.h"
#include "media/golden_pictures.h"

namespace nuri {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ImageProcessor processor_of(const std::string& json) {
  ConfigReader reader(parse_json(json, "preprocessor_config.json"), "preprocessor_config.json");
  return ImageProcessor(read_image_processor_config(reader), reader.assumed());
}

// In the full comparison the reference's values lie beside the cases, so that a difference can be measured.
double largest_difference(const std::filesystem::path& file, const std::vector<float>& values) {
  std::string bytes = read_file(file);
  EXPECT_EQ(bytes.size(), values.size() * sizeof(float));
  if (bytes.size() != values.size() * sizeof(float)) return INFINITY;
  const auto* expected = reinterpret_cast<const float*>(bytes.data());
  double largest = 0;
  for (size_t i = 0; i < values.size(); ++i) largest = std::max(largest, std::fabs(double(values[i]) - expected[i]));
  return largest;
}

TEST(ImageProcessor, EqualsTheReference) {
  Json cases = golden_cases();
  ASSERT_FALSE(cases["processors"].empty());
  for (const auto& expected : cases["processors"]) {
    SCOPED_TRACE(expected.dump());
    ImageProcessor processor = processor_of(expected["config"].dump());
    std::vector<Image> images;
    Alpha alpha = expected["alpha"].get<bool>() ? Alpha::keep : Alpha::drop;
    for (const auto& file : expected["files"])
      images.push_back(read_image(golden_pictures() / file.get<std::string>(), {}, alpha));
    PixelValues result = processor(images);
    EXPECT_EQ(result.shape, expected["shape"].get<std::vector<int64_t>>());
    if (expected.contains("values")) {
      EXPECT_LE(largest_difference(golden_pictures() / expected["values"].get<std::string>(), result.values), 1e-6);
    }
    EXPECT_EQ(checksum(result.values.data(), result.values.size() * sizeof(float)), expected["crc"].get<uint32_t>());
  }
}

TEST(ImageProcessor, GeometryMapsBoxesBack) {
  // 640x480 -> 299x224 -> the middle 224 columns.
  auto g = processor_of(R"({"image_processor_type": "CLIPImageProcessor"})").geometry(640, 480);
  EXPECT_EQ(g.resized_width, 298);
  EXPECT_EQ(g.resized_height, 224);
  EXPECT_EQ(g.crop_left, 37);
  EXPECT_EQ(g.crop_top, 0);
  auto centre = g.to_source({112, 112});
  EXPECT_NEAR(centre.x, 320, 1.1);
  EXPECT_NEAR(centre.y, 240, 1e-9);
  auto back = g.to_output(centre);
  EXPECT_NEAR(back.x, 112, 1e-9);
  EXPECT_NEAR(back.y, 112, 1e-9);

  auto padded = processor_of(R"({"image_processor_type": "LlavaImageProcessor", "do_pad": true,
                                 "size": {"shortest_edge": 336}, "crop_size": 336})")
                    .geometry(200, 101);
  EXPECT_EQ(padded.pad_top, 49);
  EXPECT_EQ(padded.padded_height, 200);
  EXPECT_NEAR(padded.to_source({0, 0}).y, -49, 1e-9);
  EXPECT_NEAR(padded.to_output({200, 101}).x, 336, 1e-9);
}

TEST(ImageProcessor, SpellingsOfTheSameThing) {
  auto same = [](const std::string& a, const std::string& b) {
    Image image(50, 31, 3);
    for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 37 + i / 91);
    auto first = processor_of(a)(std::span(&image, 1)), second = processor_of(b)(std::span(&image, 1));
    EXPECT_EQ(first.shape, second.shape);
    EXPECT_EQ(first.values, second.values);
  };
  same(R"({"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32})",
       R"({"image_processor_type": "CLIPImageProcessorFast", "size": {"shortest_edge": 32},
           "crop_size": {"height": 32, "width": 32}})");
  same(R"({"image_processor_type": "ViTImageProcessor", "size": 40})",
       R"({"image_processor_type": "ViTImageProcessorPil", "size": [40, 40]})");
  same(R"({"image_processor_type": "SiglipImageProcessor", "size": {"height": 20, "width": 30}, "image_mean": 0.5})",
       R"({"image_processor_type": "SiglipImageProcessor", "size": [20, 30], "image_mean": [0.5, 0.5, 0.5]})");
}

class Folder : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  TestFolder folder_;
};

TEST_F(Folder, NestedFileGoesFirst) {
  write("preprocessor_config.json", R"({"image_processor_type": "CLIPImageProcessor"})");
  write("processor_config.json", R"({"patch_size": 14, "image_processor": {
    "image_processor_type": "SiglipImageProcessor", "size": {"height": 28, "width": 42}}})");
  auto processor = ImageProcessor::from_folder(folder_);
  EXPECT_EQ(processor.config().type, "SiglipImageProcessor");
  EXPECT_EQ(processor.geometry(5, 9).output_width, 42);
  EXPECT_THAT(processor.assumed(), Contains("image_processor.do_resize = true"));
  // A processor file without the nested object leaves it to the older file.
  write("processor_config.json", R"({"patch_size": 14})");
  EXPECT_EQ(ImageProcessor::from_folder(folder_).config().type, "CLIPImageProcessor");
}

TEST_F(Folder, ModelTypeNamesTheProcessor) {
  write("preprocessor_config.json", R"({"size": 56, "crop_size": 56})");
  write("config.json", R"({"model_type": "llava"})");
  auto processor = ImageProcessor::from_folder(folder_);
  EXPECT_EQ(processor.config().type, "LlavaImageProcessor");
  Image image(70, 60, 3);
  EXPECT_THAT(processor(std::span(&image, 1)).shape, ElementsAre(1, 3, 56, 56));
}

TEST_F(Folder, Refusals) {
  auto message = [&] { return message_of([&] { ImageProcessor::from_folder(folder_); }); };
  EXPECT_THAT(message(), HasSubstr("preprocessor_config.json"));
  auto expect = [&](const std::string& json, const std::string& part) {
    write("preprocessor_config.json", json);
    EXPECT_THAT(message(), HasSubstr(part)) << json;
    EXPECT_THAT(message(), HasSubstr("preprocessor_config.json")) << json;
  };
  expect(R"({"image_processor_type": "Qwen2VLImageProcessor"})",
         "image_processor_type: found \"Qwen2VLImageProcessor\", expected one of CLIPImageProcessor, Siglip");
  expect(R"({"size": 224})", "image_processor_type: found nothing");
  expect(R"({"image_processor_type": "CLIPImageProcessor", "size": {"longest_edge": 5}})", "size: found");
  expect(R"({"image_processor_type": "CLIPImageProcessor", "size": 0})", "size: found 0");
  expect(R"({"image_processor_type": "CLIPImageProcessor", "size": "big"})", "size");
  expect(R"({"image_processor_type": "CLIPImageProcessor", "size": [1, 2, 3]})", "size");
  expect(R"({"image_processor_type": "CLIPImageProcessor", "crop_size": {"shortest_edge": 5}})", "crop_size: found");
  expect(R"({"image_processor_type": "CLIPImageProcessor", "resample": 9})", "resample: found 9");
  expect(R"({"image_processor_type": "CLIPImageProcessor", "image_mean": [0.5]})", "image_mean: found");
  expect(R"({"image_processor_type": "CLIPImageProcessor", "image_std": [1, 0, 1]})", "image_std: found");
  expect(R"({"image_processor_type": "SiglipImageProcessor", "do_center_crop": true})", "crop_size: found nothing");
  expect(R"({"image_processor_type": "LlavaImageProcessor", "do_pad": true, "image_mean": -1})", "image_mean: found");
  expect(R"({"image_processor_type": 5})", "image_processor_type: found 5, expected a string");
  write("config.json", R"({"model_type": "qwen2_vl"})");
  expect(R"({"size": 224})", "qwen2_vl");
}

TEST(ImageProcessor, RefusesWhatNoMemoryHolds) {
  auto clip = processor_of(R"({"image_processor_type": "CLIPImageProcessor", "do_center_crop": false})");
  EXPECT_THROW(clip.geometry(1, 100'000'000), Error);
  auto llava = processor_of(R"({"image_processor_type": "LlavaImageProcessor", "do_pad": true})");
  EXPECT_THROW(llava.geometry(1, 100'000'000), Error);
  // With a crop only what is seen is computed.
  Image tall(1, 60000, 3);
  auto cropped = processor_of(R"({"image_processor_type": "CLIPImageProcessor"})");
  EXPECT_THAT(cropped(std::span(&tall, 1)).shape, ElementsAre(1, 3, 224, 224));
  // Pictures of different sizes make no batch.
  std::vector<Image> two = {Image(10, 20, 3), Image(20, 10, 3)};
  EXPECT_THAT(message_of([&] { clip(two); }), HasSubstr("found sizes"));
  EXPECT_THAT(clip({}).shape, ElementsAre(0, 3, 0, 0));
}

}  // namespace
}  // namespace nuri
