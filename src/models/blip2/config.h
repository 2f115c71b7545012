#pragma once

#include "models/parts/connectors/qformer_config.h"
#include "models/parts/vision/vision_config.h"

namespace nuri {

// config.json of the BLIP-2 models, with the defaults of transformers' Blip2Config; the language model reads its
// own part.
struct Blip2Config {
  BlipVisionConfig vision;
  QFormerConfig qformer;
  int64_t queries;           // num_query_tokens
  int64_t image_text_width;  // of the space in which pictures and texts are compared
  std::optional<int64_t> image_token;
};

Blip2Config parse_blip2_config(const ConfigReader& config);

}  // namespace nuri
