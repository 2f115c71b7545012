#include "tasks/tracks.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "text/box_notation.h"

namespace nuri {
namespace {

LabelledBox plain(const PictureBox& box) { return {box.label, box.x1, box.y1, box.x2, box.y2}; }

// How well a box goes on with another: their overlap, or where they do not touch, a nearness below every overlap;
// nothing where they lie farther apart than both are large.
std::optional<double> continuity(const PictureBox& before, const PictureBox& now) {
  if (before.label != now.label) return std::nullopt;
  double overlap = box_iou(plain(before), plain(now));
  if (overlap > 0) return overlap;
  double distance = std::hypot(before.x1 + before.x2 - now.x1 - now.x2, before.y1 + before.y2 - now.y1 - now.y2) / 2;
  double reach =
      std::hypot(before.x2 - before.x1, before.y2 - before.y1) + std::hypot(now.x2 - now.x1, now.y2 - now.y1);
  if (distance > reach) return std::nullopt;
  return -distance / (reach + 1);
}

}  // namespace

std::vector<TrackedBox> Tracker::follow(const std::vector<PictureBox>& boxes) {
  struct Pair {
    double fit;
    size_t track, box;
  };
  std::vector<Pair> pairs;
  for (size_t track = 0; track < last_.size(); ++track)
    for (size_t box = 0; box < boxes.size(); ++box)
      if (auto fit = continuity(last_[track].box, boxes[box])) pairs.push_back({*fit, track, box});
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.fit > b.fit; });
  std::vector<std::optional<int64_t>> track_of(boxes.size());
  std::vector<bool> taken(last_.size());
  for (const Pair& pair : pairs) {
    if (taken[pair.track] || track_of[pair.box]) continue;
    taken[pair.track] = true;
    track_of[pair.box] = static_cast<int64_t>(pair.track);
  }
  std::vector<TrackedBox> followed;
  for (size_t box = 0; box < boxes.size(); ++box) {
    int64_t track = track_of[box].value_or(static_cast<int64_t>(last_.size()));
    TrackedBox seen{track, boxes[box]};
    if (track_of[box])
      last_[static_cast<size_t>(track)] = seen;
    else
      last_.push_back(seen);
    followed.push_back(std::move(seen));
  }
  return followed;
}

std::vector<TrackedBox> boxes_at(const std::vector<GroundedFrame>& frames, double seconds) {
  auto next = std::find_if(frames.begin(), frames.end(), [&](const GroundedFrame& f) { return f.seconds > seconds; });
  if (next == frames.begin()) return next == frames.end() ? std::vector<TrackedBox>() : next->boxes;
  const GroundedFrame& before = *std::prev(next);
  if (next == frames.end()) return before.boxes;
  double share = (seconds - before.seconds) / (next->seconds - before.seconds);
  std::vector<TrackedBox> boxes;
  for (const TrackedBox& from : before.boxes) {
    auto to = std::find_if(next->boxes.begin(), next->boxes.end(),
                           [&](const TrackedBox& other) { return other.track == from.track; });
    TrackedBox between = from;
    auto move = [&](double PictureBox::*side) { between.box.*side += share * (to->box.*side - from.box.*side); };
    if (to != next->boxes.end())
      for (auto side : {&PictureBox::x1, &PictureBox::y1, &PictureBox::x2, &PictureBox::y2}) move(side);
    if (to != next->boxes.end() || share < 0.5) boxes.push_back(between);
  }
  for (const TrackedBox& to : next->boxes) {
    bool known = std::any_of(before.boxes.begin(), before.boxes.end(),
                             [&](const TrackedBox& from) { return from.track == to.track; });
    if (!known && share >= 0.5) boxes.push_back(to);
  }
  return boxes;
}

}  // namespace nuri
