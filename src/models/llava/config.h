#pragma once

#include <vector>

#include "models/parts/llama_decoder_config.h"
#include "models/parts/vision_config.h"

namespace nuri {

// config.json of LlavaForConditionalGeneration, with the defaults of transformers' LlavaConfig.
struct LlavaConfig {
  VisionConfig vision;
  LlamaDecoderConfig text;
  int64_t image_token;
  // Hidden states whose features are joined, as indices from 0 (the embeddings) to vision.encoder.layers.
  std::vector<int64_t> feature_layers;
  bool drop_first_token;  // vision_feature_select_strategy "default"
  std::string projector_activation;
  bool projector_bias;

  // Image tokens one picture takes in the prompt.
  int64_t tokens_per_picture() const { return vision.tokens() - (drop_first_token ? 1 : 0); }
};

LlavaConfig parse_llava_config(const ConfigReader& config);

}  // namespace nuri
