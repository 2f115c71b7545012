#pragma once

#include "models/parts/text/llama_decoder_config.h"

namespace nuri {

// config.json of MixtralForCausalLM, with the defaults of transformers' MixtralConfig.
struct MixtralConfig {
  LlamaDecoderConfig decoder;  // `hidden`: of one expert
  int64_t experts, chosen;     // how many a layer has, how many of them a token passes
};

MixtralConfig parse_mixtral_config(const ConfigReader& config);

}  // namespace nuri
