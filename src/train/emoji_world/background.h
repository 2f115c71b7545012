#pragma once

#include <array>
#include <vector>

#include "base/random.h"
#include "media/image.h"

namespace nuri {

using Colour = std::array<float, 3>;  // red, green, blue, 0 to 255

inline float luminance(const Colour& c) { return 0.299f * c[0] + 0.587f * c[1] + 0.114f * c[2]; }

// Fills an RGB picture: flat, gradient, noise, stripes, checks, blobs or a texture, in colours that keep away from
// the colours in `avoid` where chance allows.
void paint_background(Image& picture, const std::vector<Colour>& avoid, CounterRandom& random);

}  // namespace nuri
