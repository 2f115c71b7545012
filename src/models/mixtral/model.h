#pragma once

#include "models/mixtral/config.h"
#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

// MixtralForCausalLM: Llama's decoder whose feed-forwards are experts (Jiang et al. 2024). See MODEL.md.
std::unique_ptr<Model> make_mixtral(const ConfigReader& config, const WeightView& weights);
NameRules mixtral_names(const ConfigReader& config);

}  // namespace nuri
