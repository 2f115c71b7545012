#pragma once

#include <vector>

#include "models/parts/text/llama_decoder_config.h"
#include "models/parts/vision/vision_config.h"

namespace nuri {

// config.json of Llama4ForCausalLM, and `text_config` of Llama4ForConditionalGeneration, with the defaults of
// transformers' Llama4TextConfig.
struct Llama4TextConfig {
  LlamaDecoderConfig decoder;  // `hidden`: of one expert, and of the shared one
  int64_t dense_hidden;        // of the feed-forward in layers without experts
  int64_t experts, chosen;     // how many a layer has, how many of them a token passes
  bool attention_bias;
  bool query_key_norm;  // in layers with rotary positions
  bool temperature;     // queries grow with their position, in layers without
  double temperature_floor, temperature_scale;
  struct Layer {
    bool experts, rotary;
    int64_t chunk;  // 0: attends to all before it
  };
  std::vector<Layer> layers;
};

// `vision_config`, with the defaults of transformers' Llama4VisionConfig.
struct Llama4VisionConfig : PictureSizes {
  EncoderConfig encoder;
  double theta;
  int64_t shuffle;                // side of the square of patches that become one token: 1 / pixel_shuffle_ratio
  int64_t adapter_width, output;  // behind the first layer of the adapter, behind the second

  int64_t side() const { return image_size / patch_size; }
  int64_t tokens_per_tile() const { return (side() / shuffle) * (side() / shuffle); }
};

struct Llama4Config {
  Llama4TextConfig text;
  Llama4VisionConfig vision;
  int64_t image_token;
};

Llama4TextConfig parse_llama4_text_config(const ConfigReader& config);
Llama4Config parse_llama4_config(const ConfigReader& config);

}  // namespace nuri
