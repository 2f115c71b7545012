#include "media/video_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/test_support.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

class VideoFileTest : public testing::Test {
 protected:
  // Each frame of one grey, by its number: 5 * i.
  fs::path write(int frames, double rate, int64_t width = 64, int64_t height = 48) {
    fs::path path = folder_ / "grey.mp4";
    VideoWriter writer(path, width, height, rate);
    for (int i = 0; i < frames; ++i) {
      Image frame(width, height, 3);
      std::fill(frame.pixels.begin(), frame.pixels.end(), static_cast<uint8_t>(5 * i));
      writer.add(frame);
    }
    EXPECT_FALSE(fs::exists(path));
    writer.finish();
    return path;
  }
  static int number_of(const Image& frame) { return static_cast<int>(std::lround(frame.row(20)[30 * 3] / 5.0)); }

  std::string complaint(const fs::path& path, const VideoLimits& limits = {}) {
    try {
      VideoFile file(path, limits);
      file.choose({.count = 4});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TestFolder folder_;
};

TEST_F(VideoFileTest, FramesAreFoundByTheirTime) {
  VideoFile video(write(40, 10));
  EXPECT_EQ(video.info().width, 64);
  EXPECT_NEAR(video.info().seconds, 4, 0.11);
  EXPECT_NEAR(video.info().rate, 10, 0.01);
  for (int i : {0, 7, 8, 31, 3, 39}) {  // back too
    auto frame = video.frame_at(i / 10.0 + 0.01);
    ASSERT_TRUE(frame) << i;
    EXPECT_EQ(number_of(frame->image), i);
    EXPECT_NEAR(frame->seconds, i / 10.0, 1e-3);
  }
  EXPECT_FALSE(video.frame_at(60));
}

TEST_F(VideoFileTest, FramesAreChosenByRateOrCount) {
  fs::path path = write(40, 10);
  Video two = VideoFile(path).choose({.per_second = 2, .least = 1, .multiple = 2});
  ASSERT_EQ(two.frames.size(), 8u);
  EXPECT_EQ(number_of(two.frames[3]), 15);
  EXPECT_NEAR(two.seconds[3], 1.5, 1e-3);
  EXPECT_NEAR(two.sampled_rate(), 2, 0.01);
  EXPECT_EQ(VideoFile(path).choose({.count = 5}).frames.size(), 5u);
  EXPECT_EQ(VideoFile(path).choose({.per_second = 0.1, .least = 4}).frames.size(), 4u);
  EXPECT_EQ(VideoFile(path).choose({.per_second = 1000}).frames.size(), 40u);
  EXPECT_THROW(VideoFile(path).choose({}), Error);
  EXPECT_THROW(VideoFile(path).choose({.per_second = -1}), Error);
}

TEST_F(VideoFileTest, OddSidesAndOneFrame) {
  Video video = VideoFile(write(1, 25, 33, 49)).choose({.count = 3});
  ASSERT_EQ(video.frames.size(), 1u);
  EXPECT_EQ(video.frames[0].width, 34);
}

TEST_F(VideoFileTest, WhatIsNoVideoIsNamed) {
  EXPECT_NE(complaint(folder_ / "none.mp4").find("none.mp4"), std::string::npos);
  std::ofstream(folder_ / "text.mp4") << "no video at all\n";
  EXPECT_NE(complaint(folder_ / "text.mp4").find("found"), std::string::npos);
  std::ofstream(folder_ / "empty.mp4").close();
  EXPECT_FALSE(complaint(folder_ / "empty.mp4").empty());
  EXPECT_FALSE(complaint(folder_).empty());
  fs::path whole = write(40, 10);
  EXPECT_EQ(complaint(whole), "");
  EXPECT_NE(complaint(whole, {.max_pixels = 100}).find("100 pixels"), std::string::npos);
  EXPECT_NE(complaint(whole, {.max_seconds = 1}).find("at most 1 s"), std::string::npos);
  EXPECT_NE(complaint(whole, {.max_frames = 2}).find("at most 2"), std::string::npos);
  fs::resize_file(whole, fs::file_size(whole) / 2);  // the index stands at the end
  EXPECT_FALSE(complaint(whole).empty());
}

TEST_F(VideoFileTest, AFrameLargerThanTheFirstIsRefused) {
  std::string two;
  for (int64_t side : {8, 200}) {
    two += encode_png(Image(side, side, 3));
  }
  folder_.write("two.png", two);
  VideoFile video(folder_ / "two.png");
  EXPECT_EQ(video.info().width, 8);
  EXPECT_NE(message_of([&] {
              for (double seconds = 0; seconds < 1 && video.frame_at(seconds); seconds += 0.04) {
              }
            }).find("frames of several sizes"),
            std::string::npos);
}

TEST_F(VideoFileTest, NoOtherFileIsOpened) {
  fs::path whole = write(10, 10);
  folder_.write("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + whole.string() + "\n#EXT-X-ENDLIST\n");
  folder_.write("list.ffconcat", "ffconcat version 1.0\nfile '" + whole.filename().string() + "'\n");
  for (const char* name : {"list.m3u8", "list.ffconcat"})
    EXPECT_NE(complaint(folder_ / name).find(name), std::string::npos) << name;
  EXPECT_NE(complaint("concat:" + whole.string()).find("cannot be read"), std::string::npos);
}

TEST_F(VideoFileTest, AWriterThatIsGivenUpLeavesNothing) {
  { VideoWriter writer(folder_ / "x.mp4", 16, 16, 5); }
  EXPECT_TRUE(fs::is_empty(folder_));
  EXPECT_THROW(VideoWriter(folder_ / "no" / "x.mp4", 16, 16, 5), Error);
}

}  // namespace
}  // namespace nuri
