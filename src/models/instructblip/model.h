#pragma once

#include "base/config_reader.h"
#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

// InstructBLIP (Dai et al. 2023): InstructBlipForConditionalGeneration, whose queries read the instruction before they
// draw from the picture. See MODEL.md.
std::unique_ptr<Model> make_instructblip(const ConfigReader& config, const WeightView& weights);
NameRules instructblip_names(const ConfigReader& config);

}  // namespace nuri
