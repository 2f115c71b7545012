#pragma once

#include "models/parts/vision_tower.h"
#include "weights/stores.h"

namespace nuri {

// CLIPVisionModel and SiglipVisionModel: a picture encoder alone. See MODEL.md.
std::unique_ptr<Model> make_vision(const ConfigReader& config, const WeightView& weights);
NameRules vision_names(const ConfigReader& config);

}  // namespace nuri
