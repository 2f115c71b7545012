#pragma once

#include "models/parts/processors/processor.h"

namespace nuri {

// InternVLProcessor: the placeholder of a picture becomes "<img>", an image token for each row of each of its tiles,
// and
// "</img>". The placeholder is the image token itself, in the form of OpenGVLab "<image>".
std::unique_ptr<Processor> make_internvl_processor(const std::filesystem::path& folder, const ConfigReader& config);
std::unique_ptr<PictureProcessor> make_internvl_pictures(const std::filesystem::path& folder);

}  // namespace nuri
