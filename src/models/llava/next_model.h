#pragma once

#include "models/parts/interface.h"
#include "weights/weight_view.h"

namespace nuri {

class ConfigReader;

// LlavaNextForConditionalGeneration: LLaVA that sees a picture whole and in tiles (Liu et al. 2024). See MODEL.md.
std::unique_ptr<Model> make_llava_next(const ConfigReader& config, const WeightView& weights);

}  // namespace nuri
