#pragma once

#include "models/parts/text/llama_decoder.h"
#include "weights/stores.h"

namespace nuri {

// LlamaForCausalLM, Qwen2ForCausalLM and MistralForCausalLM: the decoder of parts/ and nothing else. See MODEL.md.
std::unique_ptr<Model> make_llama(const ConfigReader& config, const WeightView& weights);
std::unique_ptr<Model> make_qwen2(const ConfigReader& config, const WeightView& weights);
std::unique_ptr<Model> make_mistral(const ConfigReader& config, const WeightView& weights);
NameRules decoder_names(const ConfigReader& config);

}  // namespace nuri
