#pragma once

// Not installed: part of ground.

#include <vector>

#include "tasks/ground.h"

namespace nuri {

// Gives numbers to things over frames, one frame after the other.
class Tracker {
 public:
  std::vector<TrackedBox> follow(const std::vector<PictureBox>& boxes);

 private:
  std::vector<TrackedBox> last_;  // of each track, where it was seen last
};

// The boxes at a time between two frames that were asked about: those of both on their way, those of one alone in the
// half that is nearer to it.
std::vector<TrackedBox> boxes_at(const std::vector<GroundedFrame>& frames, double seconds);

}  // namespace nuri
