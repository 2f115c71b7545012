#pragma once

#include <optional>
#include <vector>

#include "train/emoji_world/scene.h"

namespace nuri {

enum class Direction { left, right, above, below };
constexpr Direction kDirections[] = {Direction::left, Direction::right, Direction::above, Direction::below};

// All answers are indices into scene.objects, and compare the centres of boxes.
// How far `a` lies from `b` in that direction, in shares of the picture's side; negative: on the other side.
double offset(const Scene& scene, int a, int b, Direction direction);
constexpr double kClearOffset = 0.12;

// The one object that lies in that direction from `from`, by kClearOffset at least, when no other lies there at all.
std::optional<int> only_one_towards(const Scene& scene, int from, Direction direction);
// The object farthest in that direction, when it leads by kClearOffset / 2.
std::optional<int> farthest(const Scene& scene, Direction direction);
// The object nearest to `from`, when there are two others and the next is a third farther away.
std::optional<int> nearest_to(const Scene& scene, int from);
// The only object whose centre lies in that corner's half of the picture both ways, when it is well inside it.
std::optional<int> in_corner(const Scene& scene, bool right, bool bottom);

// How many objects are of this kind.
int count_kind(const Scene& scene, int kind);

}  // namespace nuri
