#pragma once

#include "models/parts/processors/processor.h"

namespace nuri {

// InstructBlipProcessor: as Blip2Processor, and the Q-Former's own tokenizer (the folder qformer_tokenizer) makes
// `qformer_input_ids` and `qformer_attention_mask` of the same text.
std::unique_ptr<Processor> make_instructblip_processor(const std::filesystem::path& folder, const ConfigReader& config);

}  // namespace nuri
