#pragma once

#include "models/llama4/config.h"
#include "models/parts/text/llama_decoder.h"

namespace nuri {

// Llama's decoder with Llama 4's blocks.
LlamaDecoder make_llama4_decoder(const WeightView& weights, const Llama4TextConfig& config);

// The reference counts the padding on the left of a prompt when it tells how far a query stands: as the
// `attention_mask` [B, T] of the inputs says, in a slot of each prompt.
void keep_padding(const NamedTensors& inputs, std::vector<DecoderInput>& prompts);

}  // namespace nuri
