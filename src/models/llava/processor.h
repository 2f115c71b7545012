#pragma once

#include "models/parts/processors/processor.h"

namespace nuri {

// LlavaProcessor: each "<image>" becomes as many image tokens as the encoder gives features for a picture, which the
// configuration fixes (LlavaConfig::tokens_per_picture).
std::unique_ptr<Processor> make_llava_processor(const std::filesystem::path& folder, const ConfigReader& config);

}  // namespace nuri
