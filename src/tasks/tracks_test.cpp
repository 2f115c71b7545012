#include "tasks/tracks.h"

#include <gtest/gtest.h>

namespace nuri {
namespace {

PictureBox box(const char* label, double x, double y, double size = 10) { return {label, x, y, x + size, y + size}; }

TEST(Tracker, FollowsEachThingUnderOneNumber) {
  Tracker tracker;
  auto first = tracker.follow({box("cat", 0, 0), box("cat", 50, 0), box("dog", 0, 0)});
  EXPECT_EQ((std::vector{first[0].track, first[1].track, first[2].track}), (std::vector<int64_t>{0, 1, 2}));
  // In another order, moved, one of them gone.
  auto second = tracker.follow({box("dog", 3, 3), box("cat", 46, 2)});
  EXPECT_EQ(second[0].track, 2);
  EXPECT_EQ(second[1].track, 1);
  // Back after a frame without it; a step as wide as itself; and one that is new, too far from all.
  auto third = tracker.follow({box("cat", 2, 0), box("cat", 58, 2), box("cat", 300, 300)});
  EXPECT_EQ((std::vector{third[0].track, third[1].track, third[2].track}), (std::vector<int64_t>{0, 1, 3}));
}

TEST(BoxesAt, AreOnTheirWayBetweenFrames) {
  std::vector<GroundedFrame> frames(2);
  frames[0].seconds = 1, frames[0].boxes = {{0, box("a", 0, 0)}, {1, box("b", 0, 0)}};
  frames[1].seconds = 3, frames[1].boxes = {{0, box("a", 10, 20)}, {2, box("c", 5, 5)}};
  auto early = boxes_at(frames, 1.5);
  ASSERT_EQ(early.size(), 2u);
  EXPECT_EQ(early[0].box.x1, 2.5);
  EXPECT_EQ(early[0].box.y2, 15);
  EXPECT_EQ(early[1].track, 1);
  auto late = boxes_at(frames, 2.5);
  ASSERT_EQ(late.size(), 2u);
  EXPECT_EQ(late[1].track, 2);
  EXPECT_EQ(boxes_at(frames, 0).size(), 2u);
  EXPECT_EQ(boxes_at(frames, 9).back().track, 2);
  EXPECT_TRUE(boxes_at({}, 1).empty());
}

}  // namespace
}  // namespace nuri
