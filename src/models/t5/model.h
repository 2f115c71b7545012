#pragma once

#include "base/config_reader.h"
#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

// T5ForConditionalGeneration: T5, T5 1.1, Flan-T5 (Raffel et al. 2020, Chung et al. 2022). See MODEL.md.
std::unique_ptr<Model> make_t5(const ConfigReader& config, const WeightView& weights);
NameRules t5_names(const ConfigReader& config);

}  // namespace nuri
