#include "train/emoji_world/relations.h"

#include <algorithm>
#include <cmath>

namespace nuri {

double offset(const Scene& scene, int a, int b, Direction direction) {
  const Box &p = scene.objects[a].box, &q = scene.objects[b].box;
  const double dx = (p.centre_x() - q.centre_x()) / double(scene.picture.width);
  const double dy = (p.centre_y() - q.centre_y()) / double(scene.picture.height);
  switch (direction) {
    case Direction::left:
      return -dx;
    case Direction::right:
      return dx;
    case Direction::above:
      return -dy;
    default:
      return dy;
  }
}

std::optional<int> only_one_towards(const Scene& scene, int from, Direction direction) {
  std::optional<int> found;
  for (int i = 0; i < int(scene.objects.size()); ++i) {
    if (i == from) continue;
    const double away = offset(scene, i, from, direction);
    if (away <= 0) continue;
    if (found || away < kClearOffset) return std::nullopt;
    found = i;
  }
  return found;
}

std::optional<int> farthest(const Scene& scene, Direction direction) {
  const int count = static_cast<int>(scene.objects.size());
  if (count < 2) return std::nullopt;
  int best = 0;
  for (int i = 1; i < count; ++i) {
    if (offset(scene, i, best, direction) > 0) best = i;
  }
  for (int i = 0; i < count; ++i) {
    if (i != best && offset(scene, best, i, direction) < kClearOffset / 2) return std::nullopt;
  }
  return best;
}

std::optional<int> nearest_to(const Scene& scene, int from) {
  std::vector<std::pair<double, int>> others;
  for (int i = 0; i < int(scene.objects.size()); ++i) {
    if (i == from) continue;
    others.emplace_back(std::hypot(offset(scene, i, from, Direction::right), offset(scene, i, from, Direction::below)),
                        i);
  }
  if (others.size() < 2) return std::nullopt;
  std::sort(others.begin(), others.end());
  if (others[0].first * 4 > others[1].first * 3) return std::nullopt;
  return others[0].second;
}

std::optional<int> in_corner(const Scene& scene, bool right, bool bottom) {
  std::optional<int> found;
  for (int i = 0; i < int(scene.objects.size()); ++i) {
    double x = scene.objects[i].box.centre_x() / double(scene.picture.width);
    double y = scene.objects[i].box.centre_y() / double(scene.picture.height);
    if (right) x = 1 - x;
    if (bottom) y = 1 - y;
    if (x > 0.55 || y > 0.55) continue;
    if (found || x > 0.42 || y > 0.42) return std::nullopt;
    found = i;
  }
  return found;
}

int count_kind(const Scene& scene, int kind) {
  return static_cast<int>(std::count_if(scene.objects.begin(), scene.objects.end(),
                                        [kind](const PlacedObject& object) { return object.object == kind; }));
}

}  // namespace nuri
