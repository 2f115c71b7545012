#pragma once

#include "models/parts/processors/processor.h"

namespace nuri {

// Llama4Processor: each "<|image|>" becomes the tokens of the picture's tiles, row by row with separators between them,
// and those of the whole picture.
std::unique_ptr<Processor> make_llama4_processor(const std::filesystem::path& folder, const ConfigReader& config);
std::unique_ptr<PictureProcessor> make_llama4_pictures(const std::filesystem::path& folder);

}  // namespace nuri
