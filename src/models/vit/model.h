#pragma once

#include "base/config_reader.h"
#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

// ViTModel, ViTForImageClassification, Dinov2Model, Dinov2ForImageClassification. See MODEL.md.
std::unique_ptr<Model> make_vit(const ConfigReader& config, const WeightView& weights);
NameRules vit_names(const ConfigReader& config);

}  // namespace nuri
