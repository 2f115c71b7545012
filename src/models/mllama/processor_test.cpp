// tests/parity/mllama_processor.py wrote what the reference makes of the same pictures and prompts.
#include "models/mllama/processor.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/error.h"
#include "base/test_support.h"
#include "media/golden_pictures.h"
#include "models/mllama/image_processor.h"

namespace nuri {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden";

Json golden_mllama() { return read_json_file(kGolden / "mllama/cases.json"); }

// A file of the golden pictures, or "WIDTHxHEIGHT" by formula.
Image picture(const std::string& name) {
  size_t cross = name.find('x');
  if (!std::isdigit(static_cast<unsigned char>(name[0])) || cross == std::string::npos)
    return read_image(kGolden / "pictures" / name, {}, Alpha::keep);
  Image image(std::stol(name.substr(0, cross)), std::stol(name.substr(cross + 1)), 3);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x)
      for (int64_t c = 0; c < 3; ++c)
        image.row(y)[3 * x + c] = static_cast<uint8_t>((x * 7 + y * 13 + c * 29 + x * y) % 256);
  return image;
}

std::vector<Image> pictures(const Json& files) {
  std::vector<Image> all;
  for (const auto& file : files) all.push_back(picture(file.get<std::string>()));
  return all;
}

const NamedArray& array_named(const PreparedPictures& prepared, const std::string& name) {
  for (const auto& array : prepared.arrays)
    if (array.name == name) return array;
  throw Error(ErrorKind::internal, "no array " + name);
}

template <class Number>
const std::vector<Number>& values(const NamedArray& array) {
  return std::get<std::vector<Number>>(array.values);
}

ConfigReader reader_of(const Json& config) { return ConfigReader(config, "preprocessor_config.json"); }

TEST(MllamaImageProcessor, EqualsTheReference) {
  Json cases = golden_mllama()["pictures"];
  ASSERT_FALSE(cases.empty());
  for (const auto& expected : cases) {
    SCOPED_TRACE(expected.dump());
    PreparedPictures found = MllamaImageProcessor(reader_of(expected["config"])).prepare(pictures(expected["files"]));
    const NamedArray& pixels = array_named(found, "pixel_values");
    EXPECT_EQ(pixels.shape, expected["shape"].get<std::vector<int64_t>>());
    EXPECT_EQ(values<int64_t>(array_named(found, "aspect_ratio_ids")), expected["ids"].get<std::vector<int64_t>>());
    std::vector<int64_t> mask;
    for (const auto& row : expected["mask"])
      for (const auto& tile : row) mask.push_back(tile.get<int64_t>());
    EXPECT_EQ(values<int64_t>(array_named(found, "aspect_ratio_mask")), mask);
    const auto& floats = values<float>(pixels);
    EXPECT_EQ(checksum(floats.data(), floats.size() * sizeof(float)), expected["crc"].get<uint32_t>());
  }
}

TEST(MllamaImageProcessor, BestArrangement) {
  EXPECT_EQ(best_arrangement(560, 560, 4, 560), (TileArrangement{1, 1}));
  EXPECT_EQ(best_arrangement(1, 10000, 4, 560), (TileArrangement{4, 1}));
  EXPECT_EQ(best_arrangement(561, 560, 4, 560), (TileArrangement{1, 2}));
  EXPECT_EQ(best_arrangement(5000, 4000, 4, 560), (TileArrangement{2, 2}));
  EXPECT_EQ(tile_arrangements(4).size(), 8u);
}

TEST(MllamaImageProcessor, GeometryMapsTheCanvasBack) {
  auto found = MllamaImageProcessor(reader_of({{"size", 100}})).prepare(pictures({"200x50"}));
  auto corner = found.geometry[0].to_source({200, 50});
  EXPECT_NEAR(corner.x, 200, 1e-9);
  EXPECT_NEAR(corner.y, 50, 1e-9);
}

TEST(MllamaImageProcessor, Refusals) {
  auto expect = [](const Json& config, const std::string& part) {
    try {
      MllamaImageProcessor processor(reader_of(config));
      std::vector<Image> many(400, Image(1, 1, 3));
      processor.prepare(many);
      ADD_FAILURE() << config.dump();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  };
  expect({{"image_processor_type", "CLIPImageProcessor"}}, "image_processor_type: found \"CLIPImageProcessor\"");
  expect({{"max_image_tiles", 0}}, "max_image_tiles: found 0");
  expect({{"do_pad", false}}, "do_pad: found false, expected true");
  expect({{"do_resize", false}}, "do_resize: found false, expected true");
  expect({{"size", {{"height", 20}, {"width", 30}}}}, "size: found");
  expect({{"size", {{"shortest_edge", 20}}}}, "size: found");
  expect({{"size", 20000}, {"max_image_tiles", 1000}}, "pixel_values: needs");
}

class MllamaPrompts : public ::testing::Test {
 protected:
  void SetUp() override {
    write("tokenizer.json", read_json_file(kGolden / "tokenizers/llama3.json")["tokenizer"]);
    write("tokenizer_config.json", {{"bos_token", "<|begin_of_text|>"}});
    write("preprocessor_config.json", golden_mllama()["prompt_config"]);
  }
  void write(const std::string& name, const Json& json) { std::ofstream(folder_ / name) << json.dump(); }
  std::unique_ptr<Processor> processor() { return make_mllama_processor(folder_, reader_of(Json::object())); }
  TestFolder folder_;
};

TEST_F(MllamaPrompts, EqualTheReference) {
  Json cases = golden_mllama()["prompts"];
  ASSERT_FALSE(cases.empty());
  for (const auto& expected : cases) {
    SCOPED_TRACE(expected.dump());
    auto shown = pictures(expected["files"]);
    PreparedPrompt found = (*processor())(expected["text"].get<std::string>(), shown, expected["special"].get<bool>());
    EXPECT_EQ(found.ids, expected["ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(found.pictures.arrays.empty(), shown.empty());
    if (shown.empty()) continue;
    const NamedArray& looking = array_named(found.pictures, "cross_attention_mask");
    EXPECT_EQ(looking.shape, expected["shape"].get<std::vector<int64_t>>());
    std::string digits;
    for (int64_t value : values<int64_t>(looking)) digits += static_cast<char>('0' + value);
    EXPECT_EQ(digits, expected["looking"].get<std::string>());
  }
}

TEST_F(MllamaPrompts, Refusals) {
  auto message = [&](const std::string& text, const std::vector<Image>& shown) -> std::string {
    return message_of([&] { (*processor())(text, shown, true); });
  };
  EXPECT_THAT(message("<|image|>two<|image|>", pictures({"8x8"})), HasSubstr("found 2 <|image|> for 1 pictures"));
  EXPECT_THAT(message("none", pictures({"8x8"})), HasSubstr("found 0 <|image|> for 1 pictures"));
  write("tokenizer_config.json", Json::object());
  EXPECT_THAT(message("text", {}), HasSubstr("bos_token: found none"));
}

TEST(MllamaProcessor, LookingRanges) {
  Json golden = golden_mllama();
  for (const auto& expected : golden["ranges"]) {
    SCOPED_TRACE(expected.dump());
    std::vector<std::vector<int64_t>> found;
    for (auto [begin, end] : looking_ranges(expected["ids"].get<std::vector<int32_t>>(), 7))
      found.push_back({begin, end});
    EXPECT_EQ(found, expected["ranges"].get<std::vector<std::vector<int64_t>>>());
  }
}

}  // namespace
}  // namespace nuri
