#pragma once

#include "models/parts/connectors/qformer_config.h"

namespace nuri {

// config.json of InstructBlipForConditionalGeneration, with the defaults of transformers' InstructBlipConfig; the
// language model reads its own part.
struct InstructBlipConfig {
  BlipVisionConfig vision;
  QFormerConfig qformer;
  int64_t queries;  // num_query_tokens
  std::optional<int64_t> image_token;
};

InstructBlipConfig parse_instructblip_config(const ConfigReader& config);

}  // namespace nuri
