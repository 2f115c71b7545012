#pragma once

#include "base/config_reader.h"
#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

// OPTForCausalLM (Zhang et al. 2022). See MODEL.md.
std::unique_ptr<Model> make_opt(const ConfigReader& config, const WeightView& weights);
NameRules opt_names(const ConfigReader& config);

}  // namespace nuri
