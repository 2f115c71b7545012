#include "text/place_notation.h"

#include <gtest/gtest.h>

namespace nuri {
namespace {

using Unit = Place::Unit;

TEST(PlaceNotation, ReadsJsonPoints) {
  auto places =
      parse_places("[{\"point_2d\": [12, 7.5], \"label\": \"ear\"}, {\"bbox_2d\": [1, 2, 3, 4]}]", Unit::thousandths);
  ASSERT_EQ(places.size(), 2u);
  EXPECT_TRUE(places[0].point);
  EXPECT_EQ(places[0].label, "ear");
  EXPECT_EQ(places[0].y1, 7.5);
  EXPECT_EQ(places[1].unit, Unit::thousandths);
  EXPECT_TRUE(parse_places("{\"point_2d\": [1]}").empty());
}

TEST(PlaceNotation, ReadsTheTagsOfQwen2Vl) {
  auto places = parse_places(
      "see <|object_ref_start|>the cat<|object_ref_end|><|box_start|>(10,20),(300,400)<|box_end|>"
      "<|box_start|>(1, 2), (3, 4)<|box_end|> and <|box_start|>(5,6),(7,8)<|box_end|>");
  ASSERT_EQ(places.size(), 3u);
  EXPECT_EQ(places[0].label, "the cat");
  EXPECT_EQ(places[0].unit, Unit::thousandths);
  EXPECT_EQ(places[0].x2, 300);
  EXPECT_EQ(places[1].label, "the cat");
  EXPECT_EQ(places[2].label, "");
  EXPECT_EQ(places[2].y2, 8);
}

TEST(PlaceNotation, ReadsTheTagsOfInternVl) {
  auto places = parse_places("<ref>개</ref><box>[[1, 2, 30, 40], [5,6,7,8]]</box>.");
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(places[0].label, "개");
  EXPECT_EQ(places[1].label, "개");
  EXPECT_EQ(places[1].x1, 5);
}

TEST(PlaceNotation, ReadsSharesInAList) {
  auto places = parse_places("at [0.1, 0.25, 0.5, 1] and [1, 2, 3, 4] and [0, 0, 1, 1]");
  ASSERT_EQ(places.size(), 1u);
  EXPECT_EQ(places[0].unit, Unit::shares);
  EXPECT_EQ(places[0].x2, 0.5);
}

TEST(PlaceNotation, LeavesOutTheMalformed) {
  for (const char* text :
       {"<|box_start|>(1,2),(3,4)", "<|box_start|>(1,2),(0,4)<|box_end|>", "<|box_start|>1,2,3,4<|box_end|>", "<ref>x",
        "<box>[[1, 2, 3]]</box>", "<box>[[1, 2, 3, nan]]</box>", "<box>[[1, 2, 3, 1e99]]</box>", "<box>", "[0.1, 0.2",
        "[0.5, 0.2, 0.1, 0.3]", "<", "[", "<|object_ref_start|>"})
    EXPECT_TRUE(parse_places(text).empty()) << text;
  EXPECT_EQ(parse_places("<ref>a <box>[[1,2,3,4]]</box>").size(), 1u);
}

TEST(PlaceNotation, HostileTextIsRead) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "<ref>[[{<box>[[<|box_start|>((";
  EXPECT_TRUE(parse_places(text).empty());
}

}  // namespace
}  // namespace nuri
