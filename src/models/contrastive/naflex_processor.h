#pragma once

#include <filesystem>

#include "models/parts/processors/image_processor.h"

namespace nuri {

// Siglip2ImageProcessor: a picture keeps its aspect ratio, is resized to the most patches that max_num_patches allows
// and cut into them. `pixel_values` [N, max_num_patches, p * p * 3] (a patch row by row, the three colours of a pixel
// side by side; zeros behind the picture's patches), `pixel_attention_mask` [N, max_num_patches], `spatial_shapes` [N,
// 2].
std::unique_ptr<PictureProcessor> make_naflex_processor(const std::filesystem::path& folder);

}  // namespace nuri
