#include "text/moment_notation.h"

#include <gtest/gtest.h>

namespace nuri {
namespace {

using Unit = Moment::Unit;

struct Case {
  const char* text;
  double start, end;
  const char* label;
};

void expect_one(const Case& c, Unit unit = Unit::seconds) {
  auto moments = parse_moments(c.text);
  ASSERT_EQ(moments.size(), 1u) << c.text;
  EXPECT_EQ(moments[0].unit, unit) << c.text;
  EXPECT_DOUBLE_EQ(moments[0].start, c.start) << c.text;
  EXPECT_DOUBLE_EQ(moments[0].end, c.end) << c.text;
  EXPECT_EQ(moments[0].label, c.label) << c.text;
}

TEST(MomentNotation, ReadsText) {
  for (const Case& c : {Case{"From 3.2 to 5.0 seconds.", 3.2, 5, ""},
                        {"The event happens in 3.2 - 5.0 seconds.", 3.2, 5, "The event happens"},
                        {"a dog jumps from 3s to 5s", 3, 5, "a dog jumps"},
                        {"It is there between 3 and 5 seconds, then it goes.", 3, 5, ""},
                        {"00:03 - 00:05: A man walks in.", 3, 5, "A man walks in"},
                        {"1. 1:02:03.5 – 1:02:04: he leaves", 3723.5, 3724, "he leaves"},
                        {"- **0:07**: the cat sleeps", 7, 7, "the cat sleeps"},
                        {"You see it at 4 seconds", 4, 4, "You see it"},
                        {"at 1:05.25 the light goes on", 65.25, 65.25, "the light goes on"},
                        {"<answer>12.54 to 17.83</answer>", 12.54, 17.83, ""},
                        {"고양이는 3초부터 5.5초까지 보입니다.", 3, 5.5, ""}})
    expect_one(c);
}

TEST(MomentNotation, ReadsFrames) {
  for (const Case& c : {Case{"a dog jumps from frame 3 to frame 7", 3, 7, "a dog jumps"},
                        {"frames 3-7: the dog", 3, 7, "the dog"},
                        {"Frame-4: the dog", 4, 4, "the dog"},
                        {"Frame4: the dog", 4, 4, "the dog"}})
    expect_one(c, Unit::frames);
}

TEST(MomentNotation, ReadsJson) {
  for (const Case& c : {Case{R"({"start_time": "00:03.20", "end_time": "00:05.00", "description": "a man jumps"})", 3.2,
                             5, "a man jumps"},
                        {R"({"start": 3, "end": 5.5, "event": "x"})", 3, 5.5, "x"},
                        {R"({"timestamp": [3.5, "0:05"], "label": "x"})", 3.5, 5, "x"},
                        {R"({"time": "0:03 - 0:05"})", 3, 5, ""},
                        {R"({"time": 1.5, "label": 7})", 1.5, 1.5, ""},
                        {R"({"timestamp": "3.5s"})", 3.5, 3.5, ""}})
    expect_one(c);
  expect_one({R"({"start_frame": 2, "end_frame": 4, "label": "x"})", 2, 4, "x"}, Unit::frames);
  expect_one({R"({"frame": 2})", 2, 2, ""}, Unit::frames);
}

TEST(MomentNotation, ReadsSeveralInOrder) {
  auto moments = parse_moments(
      "```json\n[\n{\"start_time\": \"00:00.00\", \"end_time\": \"00:01.00\", \"label\": \"a\"},\n"
      "{\"start_time\": \"00:01.00\", \"end_time\": \"00:02.00\", \"label\": \"b\"}\n]\n```\n"
      "0:02 - 0:03 c\n0:03-0:04 d, and from 4 to 5 seconds e\n");
  ASSERT_EQ(moments.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(moments[i].start, static_cast<double>(i));
    EXPECT_EQ(moments[i].end, static_cast<double>(i + 1));
  }
  EXPECT_EQ(moments[1].label, "b");
  EXPECT_EQ(moments[2].label, "c");
  EXPECT_EQ(moments[4].label, "");
}

TEST(MomentNotation, ANumberIsNoMoment) {
  for (const char* text : {"",
                           "3",
                           "There are 3 cats",
                           "[3, 5]",
                           "3 - 5",
                           "16:9",
                           "It lasts 10 seconds.",
                           "from 10% to 20% seconds",
                           "v1.2.3",
                           "from 5 to 3 seconds",
                           "0:5",
                           "0:123",
                           "a3s",
                           "{\"start_time\": \"3\"}",
                           "{\"time\": \"soon\"}",
                           "{\"time\": [1]}",
                           "{\"time\": [5, 3]}",
                           "{\"time\": -1}",
                           "{\"time\": 1e99}",
                           "{\"time\": {}}",
                           "{\"start_time\": 1, ",
                           "at 12345678901234567890 seconds",
                           "frame",
                           "{\"bbox_2d\": [1, 2, 3, 4], \"label\": \"cat\"}"})
    EXPECT_TRUE(parse_moments(text).empty()) << text;
}

TEST(MomentNotation, HostileTextIsRead) {
  for (const char* piece :
       {"{\"time\": ", "0:03 - ", "0:03", "frame ", "9", "1:", "-", " ", "{", "at 3s", "<answer>3", "초부터"}) {
    std::string text;
    while (text.size() < 300'000) text += piece;
    for (const Moment& moment : parse_moments(text)) EXPECT_LE(moment.start, moment.end);
  }
}

}  // namespace
}  // namespace nuri
