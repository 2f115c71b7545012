#pragma once

#include <cstdint>

#include "media/image.h"

namespace nuri {

// The picture resampled to `width` x `height` by two passes of an antialiasing triangle filter in float32, rounded once
// at the end, half to even: what processors of the reference that stand on torchvision give, whose torch resamples
// float32 pixels (`_upsample_bilinear2d_aa`). Pillow's resize rounds between the passes and differs by one step in
// every few pixels. Throws Error(usage) for an empty size.
Image resize_bilinear_float(const Image& image, int64_t width, int64_t height);

}  // namespace nuri
