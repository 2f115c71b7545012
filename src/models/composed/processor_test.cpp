#include "models/composed/processor.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/test_support.h"

namespace nuri {
namespace {

using testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/processors";

// The files of a golden processor, one of them changed.
class ComposedProcessorTest : public testing::Test {
 protected:
  void take(const char* name) {
    for (const auto& entry : std::filesystem::directory_iterator(kGolden / name))
      if (entry.path().extension() == ".json")
        std::filesystem::copy(entry.path(), folder_.path(), std::filesystem::copy_options::overwrite_existing);
  }
  void change(const char* file, const std::function<void(Json&)>& with) {
    Json json = read_json_file(folder_ / file);
    with(json);
    folder_.write(file, json.dump());
  }
  std::unique_ptr<Processor> open() {
    auto path = folder_ / "config.json";
    return make_composed_processor(folder_, ConfigReader(read_json_file(path), path.string()));
  }
  std::string refusal() {
    return message_of([&] { open(); });
  }

  TestFolder folder_;
};

TEST_F(ComposedProcessorTest, TagsMustStandInTheTokenizer) {
  take("nvlm_h");
  change("config.json", [](Json& c) {
    for (Json& id : c["resolution"]["tile_tag_ids"]) id = id.get<int>() + 1;
    c["resolution"]["thumbnail_tag_id"] = c["resolution"]["thumbnail_tag_id"].get<int>() + 1;
    c["decoder"]["vocab_size"] = c["decoder"]["vocab_size"].get<int>() + 1;
  });
  EXPECT_THAT(refusal(), HasSubstr("expected the tag <tile_1>"));
  change("config.json", [](Json& c) {
    for (Json& id : c["resolution"]["tile_tag_ids"]) id = id.get<int>() + 100;
    c["resolution"]["thumbnail_tag_id"] = c["resolution"]["thumbnail_tag_id"].get<int>() + 100;
    c["decoder"]["vocab_size"] = c["decoder"]["vocab_size"].get<int>() + 100;
  });
  EXPECT_THAT(refusal(), HasSubstr("expected that of resolution.tile_tag_ids"));
}

TEST_F(ComposedProcessorTest, TilesMustHaveTheEncodersSize) {
  take("nvlm_h");
  change("preprocessor_config.json", [](Json& c) { c["size"] = {{"height", 8}, {"width", 9}}; });
  EXPECT_THAT(refusal(), HasSubstr("the encoder's image_size"));
  change("preprocessor_config.json", [](Json& c) { c["size"] = {{"shortest_edge", 8}}; });
  EXPECT_THAT(refusal(), HasSubstr("the encoder's image_size"));
}

TEST_F(ComposedProcessorTest, PlacesAreThoseOfTheGrid) {
  take("nvlm_h");
  int64_t side = read_json_file(folder_ / "config.json")["encoder"]["image_size"].get<int64_t>();
  Image picture(4 * side, 2 * side, 3);
  PreparedPictures made = make_composed_pictures(folder_)->prepare({&picture, 1});
  EXPECT_EQ(made.geometry[0].output_width, 2 * side);
  EXPECT_EQ(made.geometry[0].output_height, side);
  PictureGeometry::Point point = made.geometry[0].to_source({static_cast<double>(side), 0});
  EXPECT_EQ(point.x, static_cast<double>(2 * side));
}

TEST_F(ComposedProcessorTest, HostilePictures) {
  take("nvlm_x");
  auto pictures = make_composed_pictures(folder_);
  for (auto [width, height] : {std::pair{1, 10000}, {10000, 1}, {1, 1}}) {
    Image picture(width, height, 3);
    PreparedPictures made = pictures->prepare({&picture, 1});
    EXPECT_EQ(made.geometry.size(), 1u);
    EXPECT_LE(made.arrays[0].shape[0], 7);
  }
}

}  // namespace
}  // namespace nuri
