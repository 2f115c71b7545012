#pragma once

#include "models/parts/processors/processor.h"

namespace nuri {

// The placeholder of a picture, the image token, becomes as many of them as the picture has rows in the text; of a
// picture in tiles, for each of them its tag, where it has one, and then its rows. A picture of one tile is its own
// thumbnail.
std::unique_ptr<Processor> make_composed_processor(const std::filesystem::path& folder, const ConfigReader& config);
std::unique_ptr<PictureProcessor> make_composed_pictures(const std::filesystem::path& folder);

}  // namespace nuri
