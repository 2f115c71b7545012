#pragma once

#include <vector>

#include "train/emoji_world/background.h"
#include "train/emoji_world/fonts.h"
#include "train/emoji_world/scene.h"

namespace nuri {

// Where a glyph goes: its level-0 pixels (u, v), seen from the centre of its opaque box, are turned, mirrored
// and scaled to the picture around (x, y).
struct Pose {
  double x = 0, y = 0;
  double scale = 1;
  double radians = 0;
  bool mirrored = false;
};

struct Extent {
  double x1, y1, x2, y2;
};

// Bounds of the turned hull around the pose's centre (as if x = y = 0).
Extent extent_of(const Glyph& glyph, const Pose& pose);

// Draws over the picture, writes `index` into `owner` where the object is opaque, and gives the tight box of
// those pixels (empty when there are none) and their number.
struct Drawn {
  Box box;
  int pixels = 0;
};
Drawn draw_glyph(const Glyph& glyph, const Pose& pose, int index, Image& picture, std::vector<int8_t>& owner);

// Draws the mask with its upper left pixel at (x, y), wholly inside the picture; gives the tight box of the ink.
Box draw_word(const WordMask& mask, int x, int y, const Colour& colour, Image& picture);

}  // namespace nuri
