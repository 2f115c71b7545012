#pragma once

#include <string>

#include "models/parts/processors/tile_config.h"
#include "models/parts/text/llama_decoder_config.h"
#include "models/parts/vision/vision_config.h"

namespace nuri {

// InternViT.
struct InternVitConfig : PictureSizes {
  EncoderConfig encoder;
  bool qkv_bias;
  bool qk_norm;  // RMS norms of queries and keys over the whole width
  // Heads beyond those of the width, which NVLM-D's weights have so that 8 devices can share them; what these queries
  // and keys are does not count where the others are normed.
  int64_t dummy_heads = 0;
  double qk_epsilon;
  bool rms_norm;           // the layers' norms; else layer norms
  bool learned_positions;  // else none
  bool closing_norm;       // a layer norm behind the last layer
  double branch_scale;     // what each branch's learned scale starts from
  int64_t patches_per_side() const { return image_size / patch_size; }
};

// config.json of InternVLForConditionalGeneration (transformers), of InternVLChatModel (as OpenGVLab publishes it), or
// of NVLM_D (as NVIDIA does), each with the defaults of its configuration class.
struct InternvlConfig {
  InternVitConfig vision;
  LlamaDecoderConfig text;
  bool chat_form;       // InternVLChatModel, NVLM_D
  bool tags;            // NVLM_D: what tile it is stands in front of its rows
  bool internlm2;       // the decoder's weights have InternLM2's names
  int64_t image_token;  // -1: not known
  int64_t layer;        // whose hidden states are read: 0 (the embeddings) to vision.encoder.layers
  bool close;           // those behind the closing norm
  int64_t shrink;       // patches of a square of that side become one row
  bool columns_first;   // ps_version v1 leaves the rows column by column
  std::string projector_activation;
  int64_t projector_hidden;
  bool projector_bias;
  TileRule tiles;

  int64_t tokens_per_tile() const {
    int64_t side = vision.patches_per_side() / shrink;
    return side * side;
  }
};

InternvlConfig parse_internvl_config(const ConfigReader& config);

}  // namespace nuri
