#pragma once

// Not installed: part of explain.

#include <functional>
#include <span>
#include <vector>

#include "tasks/explain.h"

namespace nuri {

// A rectangle of one of several pictures, in its pixels; x2 and y2 are the first outside.
struct HiddenPart {
  size_t picture = 0;
  int64_t x1 = 0, y1 = 0, x2 = 0, y2 = 0;
};

struct PictureSize {
  int64_t width, height;
};

// How much is lost when each of the parts is hidden, by itself.
using LossOfHiding = std::function<std::vector<double>(std::span<const HiddenPart>)>;

struct HidingResult {
  std::vector<ExplainedPart> cells;    // cover all pictures, none twice; smaller where it matters
  std::vector<ExplainedPart> regions;  // see Explanation
};

// So many at least are needed to look at all of so many pictures.
int64_t fewest_hidings(size_t pictures);

// What of the pictures matters, by hiding one part after another (occlusion, Zeiler and Fergus 2014): first windows
// that overlap by half over all pictures, then windows half as wide where those lost most. A cell has the mean of what
// the windows lost that hide it, over both sizes. At most `most` parts are hidden. Throws Error(usage) for fewer
// than fewest_hidings().
HidingResult find_by_hiding(std::span<const PictureSize> pictures, int64_t most, const LossOfHiding& loss);

}  // namespace nuri
