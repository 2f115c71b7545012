// The families' own picture processors against tests/parity/golden/picture_processors.json
// (tests/parity/picture_processors.py).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "base/test_support.h"
#include "media/golden_pictures.h"
#include "models/contrastive/naflex_processor.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

using Maker = std::unique_ptr<PictureProcessor> (*)(const fs::path& folder);

const std::map<std::string, Maker>& makers() {
  static const std::map<std::string, Maker> known = {{"Siglip2ImageProcessor", make_naflex_processor}};
  return known;
}

Json golden_processors() {
  if (const char* file = std::getenv("NURI_PICTURE_PROCESSORS")) return read_json_file(file);
  return read_json_file(fs::path(NURI_SOURCE_DIR) / "tests/parity/golden/picture_processors.json");
}

std::unique_ptr<PictureProcessor> processor_of(const Json& config) {
  TestFolder folder;
  folder.write("preprocessor_config.json", config.dump());
  return makers().at(config["image_processor_type"].get<std::string>())(folder);
}

TEST(PictureProcessor, EqualsTheReference) {
  for (const auto& expected : golden_processors()) {
    SCOPED_TRACE(expected.dump());
    std::vector<Image> pictures;
    for (const auto& file : expected["files"])
      pictures.push_back(read_image(golden_pictures() / file.get<std::string>(), {}, Alpha::drop));
    PreparedPictures made = processor_of(expected["config"])->prepare(pictures);
    EXPECT_EQ(made.geometry.size(), pictures.size());
    ASSERT_EQ(made.arrays.size(), expected["arrays"].size());
    for (const NamedArray& array : made.arrays) {
      const Json& wanted = expected["arrays"].at(array.name);
      EXPECT_EQ(array.shape, wanted["shape"].get<std::vector<int64_t>>()) << array.name;
      uint32_t found = std::visit(
          [](const auto& values) { return checksum(values.data(), values.size() * sizeof(values[0])); }, array.values);
      EXPECT_EQ(found, wanted["crc"].get<uint32_t>()) << array.name;
    }
  }
}

TEST(PictureProcessor, HostilePicturesAreTakenOrRefusedInALine) {
  for (const auto& [type, maker] : makers()) {
    auto processor = processor_of({{"image_processor_type", type}});
    for (auto [width, height] : {std::pair{1, 10000}, {10000, 1}, {1, 1}, {3, 2}}) {
      Image picture(width, height, 3);
      try {
        PreparedPictures made = processor->prepare({&picture, 1});
        EXPECT_EQ(made.geometry.size(), 1u) << type;
      } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace nuri
