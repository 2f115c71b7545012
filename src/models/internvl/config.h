#pragma once

#include <string>

#include "models/parts/llama_decoder_config.h"
#include "models/parts/vision_config.h"

namespace nuri {

// InternViT.
struct InternVitConfig : PictureSizes {
  EncoderConfig encoder;
  bool qkv_bias;
  bool qk_norm;  // RMS norms of queries and keys over the whole width
  double qk_epsilon;
  bool rms_norm;           // the layers' norms; else layer norms
  bool learned_positions;  // else none
  bool closing_norm;       // a layer norm behind the last layer
  double branch_scale;     // what each branch's learned scale starts from
  int64_t patches_per_side() const { return image_size / patch_size; }
};

// How a picture is cut: into the grid of at most `most` tiles whose shape is nearest to its own.
struct TileRule {
  bool cut;
  int64_t least, most;
  bool thumbnail;  // a tile of the whole behind those of a grid

  struct Grid {
    int64_t columns, rows;
  };
  Grid grid_of(int64_t width, int64_t height, int64_t tile_width, int64_t tile_height) const;
  // All tiles of a picture cut so, the thumbnail among them.
  int64_t tiles_in(Grid grid) const {
    int64_t cells = grid.columns * grid.rows;
    return cells + (thumbnail && cells > 1 ? 1 : 0);
  }
};
constexpr int64_t kMostTiles = 1024;

// config.json of InternVLForConditionalGeneration (transformers), or of InternVLChatModel (as OpenGVLab publishes it),
// each with the defaults of its configuration class.
struct InternvlConfig {
  InternVitConfig vision;
  LlamaDecoderConfig text;
  bool chat_form;       // InternVLChatModel
  bool internlm2;       // the decoder's weights have InternLM2's names
  int64_t image_token;  // -1: not known
  int64_t layer;        // whose hidden states are read: 0 (the embeddings) to vision.encoder.layers
  bool close;           // those behind the closing norm
  int64_t shrink;       // patches of a square of that side become one row
  bool columns_first;   // ps_version v1 leaves the rows column by column
  std::string projector_activation;
  TileRule tiles;

  int64_t tokens_per_tile() const {
    int64_t side = vision.patches_per_side() / shrink;
    return side * side;
  }
};

InternvlConfig parse_internvl_config(const ConfigReader& config);

}  // namespace nuri
