#pragma once

#include "models/parts/processors/pair_processor.h"

namespace nuri {

// CLIPProcessor (texts as long as the longest), SiglipProcessor and Siglip2Processor (all texts as long as the
// context).
std::unique_ptr<PairProcessor> make_clip_pairs(const std::filesystem::path& folder, const ConfigReader& config);
std::unique_ptr<PairProcessor> make_siglip_pairs(const std::filesystem::path& folder, const ConfigReader& config);
std::unique_ptr<PairProcessor> make_siglip2_pairs(const std::filesystem::path& folder, const ConfigReader& config);

}  // namespace nuri
