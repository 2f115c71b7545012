#pragma once

// Not installed: for the tasks themselves.

#include <ATen/core/Tensor.h>

#include "common.h"
#include "media/image.h"
#include "models/parts/image_processor.h"

namespace nuri {

std::vector<Image> read_pictures(const std::vector<std::string>& files, const PictureLimits& limits);
// A copy as a float32 tensor [N, 3, H, W].
at::Tensor to_tensor(const PixelValues& pixels);

}  // namespace nuri
