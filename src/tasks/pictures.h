#pragma once

// Not installed: for the tasks themselves.

#include "common.h"
#include "media/image.h"

namespace nuri {

std::vector<Image> read_pictures(const std::vector<std::string>& files, const PictureLimits& limits);

}  // namespace nuri
