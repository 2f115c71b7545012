#pragma once

#include "models/llama4/config.h"
#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

// Llama4ForCausalLM, and Llama4ForConditionalGeneration, whose decoder reads pictures as if they were words (Meta
// 2025). See MODEL.md.
std::unique_ptr<Model> make_llama4_text(const ConfigReader& config, const WeightView& weights);
std::unique_ptr<Model> make_llama4(const ConfigReader& config, const WeightView& weights);
NameRules llama4_text_names(const ConfigReader& config);
NameRules llama4_names(const ConfigReader& config);

}  // namespace nuri
