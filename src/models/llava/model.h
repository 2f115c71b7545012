#pragma once

#include "models/llava/config.h"
#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

// LlavaForConditionalGeneration: a picture becomes tokens of the decoder (Liu et al. 2023). See MODEL.md.
std::unique_ptr<Model> make_llava(const ConfigReader& config, const WeightView& weights);
NameRules llava_names(const ConfigReader& config);

}  // namespace nuri
