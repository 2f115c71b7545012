#pragma once

// Not installed: for the tasks themselves.

#include <filesystem>

#include "common.h"
#include "media/image.h"
#include "models/parts/interface.h"

namespace nuri {

std::vector<Image> read_pictures(const std::vector<std::string>& files, const PictureLimits& limits);

// What a grey picture of that size becomes: by the processor in `folder`, or, where it has none, by the sizes that the
// model itself knows.
NamedTensors picture_of_size(const std::filesystem::path& folder, const MediaEncoder& model, int64_t width,
                             int64_t height);

}  // namespace nuri
