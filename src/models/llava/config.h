#pragma once

#include "models/parts/text/llama_decoder_config.h"
#include "models/parts/vision/vision_config.h"

namespace nuri {

// config.json of LlavaForConditionalGeneration, with the defaults of transformers' LlavaConfig.
struct LlavaConfig {
  VisionConfig vision;
  LlamaDecoderConfig text;
  int64_t image_token;
  FeatureChoice features;
  std::string projector_activation;
  bool projector_bias;

  // Rows that the connector makes of one picture, or of one tile.
  int64_t tokens_per_picture() const { return vision.tokens() - (features.drop_first ? 1 : 0); }
};

LlavaConfig parse_llava_config(const ConfigReader& config);

}  // namespace nuri
