#pragma once

#include "models/parts/processors/processor.h"

namespace nuri {

// LlavaNextProcessor: each "<image>" becomes as many image tokens as the picture has rows, by its size
// (LlavaNextConfig::tokens_of).
std::unique_ptr<Processor> make_llava_next_processor(const std::filesystem::path& folder, const ConfigReader& config);
std::unique_ptr<PictureProcessor> make_llava_next_pictures(const std::filesystem::path& folder);

}  // namespace nuri
