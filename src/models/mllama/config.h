#pragma once

#include <vector>

#include "models/parts/text/llama_decoder_config.h"
#include "models/parts/vision/vision_config.h"

namespace nuri {

// The encoder of pictures that are cut into tiles: `encoder` is the first of its two stacks, which sees all tiles of a
// picture at once, and `global_layers` the depth of the second.
struct MllamaVisionConfig : PictureSizes {
  EncoderConfig encoder;
  int64_t global_layers;
  int64_t tiles;          // that a picture may have
  int64_t aspect_ratios;  // arrangements of tiles, numbered from 1
  // Layers of the first stack whose output goes beside that of the second, as indices from 0.
  std::vector<int64_t> intermediate_layers;

  int64_t tokens() const { return patches() + 1; }  // of a tile
  int64_t output_width() const { return encoder.width * (1 + static_cast<int64_t>(intermediate_layers.size())); }
};

struct MllamaTextConfig {
  LlamaDecoderConfig decoder;
  std::vector<bool> looks;  // whether a layer is one of cross-attention
};

// config.json of MllamaForConditionalGeneration, with the defaults of transformers' MllamaConfig.
struct MllamaConfig {
  MllamaVisionConfig vision;
  MllamaTextConfig text;
  int64_t image_token;
};

MllamaTextConfig parse_mllama_text_config(const ConfigReader& config);
MllamaConfig parse_mllama_config(const ConfigReader& config);

}  // namespace nuri
