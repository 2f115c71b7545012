#include "text/box_notation.h"

#include <gtest/gtest.h>

#include <chrono>

namespace nuri {
namespace {

TEST(BoxNotation, ReadsWhatModelsWrite) {
  const auto boxes = parse_boxes(
      "Here:\n```json\n[\n\t{\"bbox_2d\": [1, 2, 30, 40], \"label\": \"a {odd} \\\"cat\\\"\"},\n"
      "\t{\"label\": \"\\uac1c\", \"bbox_2d\": [0.5, 1e1, 7, 12.25]}\n]\n```");
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_EQ(boxes[0].label, "a {odd} \"cat\"");
  EXPECT_EQ(boxes[0].x2, 30);
  EXPECT_EQ(boxes[1].label, "개");
  EXPECT_EQ(boxes[1].y1, 10);
  EXPECT_EQ(boxes[1].y2, 12.25);
  EXPECT_EQ(parse_boxes("{\"objects\": [{\"bbox_2d\": [1,2,3,4]}]}").size(), 1u);
}

TEST(BoxNotation, LeavesOutTheMalformed) {
  for (const char* text :
       {"", "{", "{}", "[]", "{\"bbox_2d\": [1, 2, 3], \"label\": \"x\"}", "{\"bbox_2d\": [1, 2, 3, \"4\"]}",
        "{\"bbox_2d\": [9, 2, 3, 4]}", "{\"bbox_2d\": [1, 2, 3, 1e999]}", "{\"bbox_2d\": [1, 2, 3, 1e80]}",
        "{\"bbox_2d\": {\"x\": 1}}", "{\"bbox_2d\": [1, 2, 3, 4", "{\"bbox_2d\": [1, 2, 3, 4], \"label\": \"\xff\"}",
        "[{\"bbox_2d\": null}]"}) {
    EXPECT_TRUE(parse_boxes(text).empty()) << text;
  }
  // A cut answer keeps what is whole; a broken entry does not hide the next.
  EXPECT_EQ(parse_boxes("[{\"bbox_2d\": [1, 2, 3, 4], \"label\": \"a\"}, {\"bbox_2d\": [1, 2").size(), 1u);
  EXPECT_EQ(parse_boxes("{\"bbox_2d\": [1, 2, {\"bbox_2d\": [1, 2, 3, 4]}").size(), 1u);
  EXPECT_EQ(parse_boxes("{\"bbox_2d\": [1, 2] } {\"bbox_2d\": [1, 2, 3, 4], \"label\": 7}").size(), 1u);
  EXPECT_EQ(parse_boxes("{\"label: [ {\"bbox_2d\": [1, 2, 3, 4]}").size(), 1u);
}

TEST(BoxNotation, HostileTextTakesLinearTime) {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += "{\"";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(parse_boxes(text).empty());
  EXPECT_TRUE(parse_boxes(std::string(1000000, '{')).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(BoxNotation, FormatsAndMeasures) {
  const LabelledBox a{"cat", 0, 0, 10, 10}, b{"", 5, 0, 15, 10};
  EXPECT_EQ(format_boxes({a, {"a\"b", 1.4, 2.6, 3, 4}}),
            "[{\"bbox_2d\": [0, 0, 10, 10], \"label\": \"cat\"}, {\"bbox_2d\": [1, 3, 3, 4], \"label\": \"a\\\"b\"}]");
  EXPECT_EQ(format_boxes({}), "[]");
  EXPECT_EQ(parse_boxes(format_boxes({a}))[0].x2, 10);
  EXPECT_NEAR(box_iou(a, b), 1.0 / 3, 1e-12);
  EXPECT_EQ(box_iou(a, {"", 20, 20, 30, 30}), 0);
  EXPECT_EQ(box_iou({"", 1, 1, 1, 1}, {"", 1, 1, 1, 1}), 0);
}

}  // namespace
}  // namespace nuri
