#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "media/image.h"
#include "media/text_renderer.h"

namespace nuri {

// A box in source pixels, from (x1, y1) to (x2, y2), with a label in UTF-8 (perhaps empty).
struct DrawnBox {
  std::string label;
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  std::optional<size_t> color = {};  // as distinct_color counts; absent: by its place among the boxes
};

struct DrawStyle {
  int64_t min_long_side = 640;  // a smaller picture is enlarged by a whole factor, so that labels are legible; 0: never
  double text_size = 0;         // pixels of the drawn copy; 0: by its size
  double line_width = 0;        // likewise
};

// A colour for the i-th thing of several, told apart easily from its neighbours: a fixed set, then hues by the
// golden angle.
Color distinct_color(size_t i);

// A copy of the picture (RGB) with the boxes and their labels drawn on it. Crossed corners are swapped, boxes
// outside are clamped to the edge, boxes that are no numbers are left out; label plates keep inside the picture and
// off each other where there is room, and long labels are cut with an ellipsis.
Image draw_boxes(const Image& image, std::span<const DrawnBox> boxes, const TextRenderer& renderer,
                 const DrawStyle& style = {});

}  // namespace nuri
