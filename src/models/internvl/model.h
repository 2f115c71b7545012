#pragma once

#include "models/internvl/config.h"
#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

// InternVLForConditionalGeneration and InternVLChatModel: InternViT, a pixel shuffle that makes one row of a square of
// patches, and a decoder (Chen et al. 2024). See MODEL.md.
std::unique_ptr<Model> make_internvl(const ConfigReader& config, const WeightView& weights);
NameRules internvl_names(const ConfigReader& config);

}  // namespace nuri
