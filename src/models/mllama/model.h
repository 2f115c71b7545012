#pragma once

#include "models/mllama/config.h"
#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

// MllamaForConditionalGeneration, Llama 3.2 Vision: layers between those of a text model look at the pictures
// (Dubey et al. 2024). See MODEL.md.
std::unique_ptr<Model> make_mllama(const ConfigReader& config, const WeightView& weights);
NameRules mllama_names(const ConfigReader& config);

// MllamaForCausalLM: its text model, which passes over the layers that look at pictures.
std::unique_ptr<Model> make_mllama_text(const ConfigReader& config, const WeightView& weights);
NameRules mllama_text_names(const ConfigReader& config);

}  // namespace nuri
