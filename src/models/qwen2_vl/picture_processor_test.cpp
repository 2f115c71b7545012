// tests/parity/golden/qwen2_vl holds what the processors of transformers make of pictures that a formula makes.
#include "models/qwen2_vl/picture_processor.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/error.h"
#include "media/golden_pictures.h"
#include "models/qwen2_vl/processor.h"

namespace nuri {
namespace {

using Medium = Qwen2VlPictures::Medium;
using testing::ElementsAreArray;

const std::filesystem::path kGolden = std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/qwen2_vl";

const Json& golden() {
  static const Json cases = read_json_file(kGolden / "cases.json");
  return cases;
}

Image scene(int64_t width, int64_t height, int64_t seed) {
  Image image(width, height, 3);
  for (size_t k = 0; k < image.pixels.size(); ++k)
    image.pixels[k] = static_cast<uint8_t>(k * 37 + k / 91 + k / 1000 * static_cast<size_t>(seed));
  return image;
}

std::vector<Image> scenes(const Json& sizes) {
  std::vector<Image> pictures;
  for (const auto& size : sizes) pictures.push_back(scene(size[0], size[1], 1 + static_cast<int64_t>(pictures.size())));
  return pictures;
}

// Frame k of film i is the scene with seed 1 + i + k.
std::vector<Video> films(const Json& sizes) {
  std::vector<Video> videos;
  for (const auto& size : sizes) {
    Video video;
    for (int64_t k = 0; k < size[2].get<int64_t>(); ++k) {
      video.frames.push_back(scene(size[0], size[1], 1 + static_cast<int64_t>(videos.size()) + k));
      if (size.size() > 3) video.seconds.push_back(static_cast<double>(k) / size[3].get<double>());
    }
    videos.push_back(std::move(video));
  }
  return videos;
}

Qwen2VlPictures processor_of(const Json& config, Medium medium) {
  return Qwen2VlPictures(ConfigReader(config, "preprocessor_config.json"), medium);
}

const NamedArray& find(const std::vector<NamedArray>& arrays, std::string_view name) {
  for (const NamedArray& array : arrays)
    if (array.name == name) return array;
  throw Error(ErrorKind::internal, fmt::format("no array {}", name));
}
const std::vector<float>& floats(const NamedArray& array) { return std::get<std::vector<float>>(array.values); }
const std::vector<int64_t>& wholes(const NamedArray& array) { return std::get<std::vector<int64_t>>(array.values); }

TEST(Qwen2VlPictures, PicturesEqualTheReference) {
  for (const Json& expected : golden()["pictures"]) {
    SCOPED_TRACE(expected.dump());
    auto arrays = processor_of(expected["config"], Medium::pictures).prepare(scenes(expected["sizes"])).arrays;
    EXPECT_EQ(wholes(find(arrays, "image_grid_thw")), expected["grid"].get<std::vector<int64_t>>());
    const NamedArray& found = find(arrays, "pixel_values");
    EXPECT_EQ(found.shape, expected["shape"].get<std::vector<int64_t>>());
    EXPECT_EQ(checksum(floats(found).data(), floats(found).size() * sizeof(float)), expected["crc"].get<uint32_t>());
  }
}

// The bytes that were normalised, as [patches, 3, values of a channel].
std::vector<uint8_t> bytes_behind(const NamedArray& array, const Json& config) {
  const auto& values = floats(array);
  std::vector<double> mean{0.48145466, 0.4578275, 0.40821073}, std{0.26862954, 0.26130258, 0.27577711};
  if (config.contains("image_mean")) mean = config["image_mean"].get<std::vector<double>>();
  if (config.contains("image_std")) std = config["image_std"].get<std::vector<double>>();
  size_t channel = static_cast<size_t>(array.shape[1]) / 3;
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < values.size(); ++i) {
    size_t c = i / channel % 3;
    bytes.push_back(static_cast<uint8_t>(std::lround((values[i] * std[c] + mean[c]) * 255)));
  }
  return bytes;
}

TEST(Qwen2VlPictures, VideosEqualTheReference) {
  for (const Json& expected : golden()["videos"]) {
    SCOPED_TRACE(expected.dump());
    auto arrays = processor_of(expected["config"], Medium::videos).prepare_videos(films(expected["sizes"]));
    EXPECT_EQ(wholes(find(arrays, "video_grid_thw")), expected["grid"].get<std::vector<int64_t>>());
    const NamedArray& found = find(arrays, "pixel_values_videos");
    EXPECT_EQ(found.shape, expected["shape"].get<std::vector<int64_t>>());
    std::vector<uint8_t> bytes = bytes_behind(found, expected["config"]);
    EXPECT_EQ(checksum(bytes.data(), bytes.size()), expected["crc_of_bytes"].get<uint32_t>());
    auto some = expected["some"].get<std::vector<double>>();
    size_t step = floats(found).size() / 23;
    for (size_t i = 0; i < some.size(); ++i) EXPECT_NEAR(floats(found)[i * step], some[i], 1e-6);
  }
}

TEST(Qwen2VlProcessor, TextsEqualTheReference) {
  ConfigReader config(read_json_file(kGolden / "config.json"), "config.json");
  auto processor = make_qwen2_vl_processor(kGolden, config);
  for (const Json& expected : golden()["texts"]) {
    SCOPED_TRACE(expected.dump());
    auto pictures = scenes(expected["sizes"]);
    auto videos = films(expected["films"]);
    PreparedPrompt found = (*processor)(expected["text"].get<std::string>(), pictures, videos, true);
    EXPECT_THAT(found.ids, ElementsAreArray(expected["ids"].get<std::vector<int32_t>>()));
    EXPECT_EQ(wholes(find(found.pictures.arrays, "mm_token_type_ids")), expected["types"].get<std::vector<int64_t>>());
    if (expected.contains("image_grid_thw")) {
      EXPECT_EQ(wholes(find(found.pictures.arrays, "image_grid_thw")),
                expected["image_grid_thw"].get<std::vector<int64_t>>());
    }
    if (!expected.contains("video_grid_thw")) continue;
    EXPECT_EQ(wholes(find(found.videos, "video_grid_thw")), expected["video_grid_thw"].get<std::vector<int64_t>>());
    auto seconds = expected["second_per_grid_ts"].get<std::vector<double>>();
    for (size_t i = 0; i < seconds.size(); ++i)
      EXPECT_FLOAT_EQ(floats(find(found.videos, "second_per_grid_ts"))[i], static_cast<float>(seconds[i]));
  }
}

TEST(Qwen2VlProcessor, PlaceholdersAndMediaAgree) {
  ConfigReader config(read_json_file(kGolden / "config.json"), "config.json");
  auto processor = make_qwen2_vl_processor(kGolden, config);
  Image picture(28, 28, 3);
  EXPECT_THROW((*processor)("what", std::span(&picture, 1), true), Error);
  EXPECT_THROW((*processor)("<|image_pad|><|image_pad|>", std::span(&picture, 1), true), Error);
  EXPECT_THROW((*processor)("<|video_pad|>", std::span(&picture, 1), true), Error);
}

TEST(Qwen2VlPictures, OddPicturesAreOneError) {
  Qwen2VlPictures processor = processor_of(Json::object(), Medium::pictures);
  Image line(1, 10000, 3), dot(1, 1, 3);
  EXPECT_THROW(processor.prepare(std::span(&line, 1)), Error);
  EXPECT_EQ(wholes(find(processor.prepare(std::span(&dot, 1)).arrays, "image_grid_thw")),
            (std::vector<int64_t>{1, 4, 4}));
  std::vector<Image> many(300, Image(30, 40, 3));
  EXPECT_EQ(processor.prepare(many).geometry.size(), 300u);
  Qwen2VlPictures films = processor_of(Json::object(), Medium::videos);
  EXPECT_THROW(films.prepare_videos(std::vector<Video>(1)), Error);
  Video uneven;
  uneven.frames = {dot, line};
  EXPECT_THROW(films.prepare_videos(std::span(&uneven, 1)), Error);
}

TEST(Qwen2VlPictures, RefusesWhatItDoesNotKnow) {
  auto refused = [](const char* json) {
    EXPECT_THROW(processor_of(parse_json(json, "test"), Medium::pictures), Error) << json;
  };
  refused(R"({"image_processor_type": "CLIPImageProcessor"})");
  refused(R"({"size": {"shortest_edge": 3136}})");
  refused(R"({"patch_size": 0})");
  refused(R"({"merge_size": 1000000})");
  refused(R"({"max_pixels": -1})");
  refused(R"({"resample": 9})");
}

}  // namespace
}  // namespace nuri
