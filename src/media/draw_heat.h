#pragma once

#include <span>
#include <string>
#include <vector>

#include "media/image.h"
#include "media/text_renderer.h"

namespace nuri {

// A rectangle of a picture, in its pixels.
struct HeatCell {
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  double strength = 0;  // 0 and below: nothing is drawn
};

struct HeatPicture {
  const Image* image = nullptr;    // RGB
  std::vector<HeatCell> cells;     // that lie side by side
  std::vector<HeatCell> outlined;  // drawn as thin frames with their strengths
};

// The pictures (at least one), several of them on a sheet, pale under a heat map on one scale, above a legend with the
// colours, what they stand for and `meaning`, a line of text. A small picture is enlarged by a whole factor.
Image draw_heat(std::span<const HeatPicture> pictures, const std::string& meaning, const TextRenderer& renderer);

}  // namespace nuri
