#include "models/parts/processors/anyres_config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/error.h"
#include "base/test_support.h"

namespace nuri {
namespace {

using testing::HasSubstr;

std::vector<Resolution> pinpoints_of(const std::string& json, int64_t tile) {
  return read_pinpoints(ConfigReader(parse_json(json, "config.json"), "config.json"), tile);
}

std::string refusal(const std::string& json, int64_t tile) {
  return message_of([&] { pinpoints_of(json, tile); });
}

TEST(Anyres, UsualPictureInTheUsualGrids) {
  auto pinpoints = pinpoints_of("{}", 336);
  EXPECT_EQ(pinpoints.size(), 5u);
  Resolution picture{480, 640};
  EXPECT_EQ(best_resolution(picture, pinpoints), (Resolution{672, 672}));
  EXPECT_EQ(fitted(picture, {672, 672}), (Resolution{504, 672}));
  PatchRegion region = without_padding(picture, 48, 48);
  EXPECT_EQ(region.top, 6);
  EXPECT_EQ(region.rows, 36);
  EXPECT_EQ(region.left, 0);
  EXPECT_EQ(region.columns, 48);
}

TEST(Anyres, ThinPicturesLeaveNothingBetweenTheMargins) {
  PatchRegion region = without_padding({10000, 1}, 72, 24);
  EXPECT_EQ(region.columns, 0);
  EXPECT_EQ(region.rows, 72);
  EXPECT_EQ(fitted({10000, 1}, {1008, 336}), (Resolution{1008, 1}));
  // No grid keeps a pixel of it, so that the smallest wins, and of equal ones the first.
  EXPECT_EQ(best_resolution({10000, 1}, pinpoints_of("{}", 336)), (Resolution{336, 672}));
}

TEST(Anyres, GridsThatAreNone) {
  EXPECT_THAT(refusal("{}", 224), HasSubstr("multiples of the tile's 224 pixels"));
  EXPECT_THAT(refusal(R"({"image_grid_pinpoints": []})", 1), HasSubstr("image_grid_pinpoints: found []"));
  for (const char* list : {"[[336]]", "[336]", "5", R"([["a", "b"]])", "[[-336, 336]]", "[[336, 0]]",
                           "[[100000000, 100000000]]", "[[18446744073709551615, 336]]"})
    EXPECT_THAT(refusal(fmt::format(R"({{"image_grid_pinpoints": {}}})", list), 1), HasSubstr("found")) << list;
}

}  // namespace
}  // namespace nuri
