#pragma once

#include "models/parts/vision/vision_tower.h"
#include "weights/stores.h"

namespace nuri {

// CLIPVisionModel, SiglipVisionModel and Siglip2VisionModel: a picture encoder alone. See MODEL.md.
std::unique_ptr<Model> make_vision(const ConfigReader& config, const WeightView& weights);
std::unique_ptr<Model> make_siglip2_vision(const ConfigReader& config, const WeightView& weights);
NameRules vision_names(const ConfigReader& config);

}  // namespace nuri
