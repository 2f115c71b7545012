#pragma once

#include "models/parts/connectors/connector_config.h"
#include "models/parts/processors/tile_config.h"
#include "models/parts/text/llama_decoder_config.h"
#include "models/parts/vision/vision_config.h"

namespace nuri {

// What looks at pictures in a composition, and what draws from it.
struct ComposedEyes {
  VisionConfig vision;
  std::vector<int64_t> feature_layers;  // whose states are joined, as indices from 0 (the embeddings)
  ConnectorConfig connector;

  // The class token of CLIP is left out.
  FeatureChoice features() const { return {feature_layers, vision.kind == VisionConfig::Kind::clip}; }
};

// A composition, as the `[model]` table of a recipe, and then config.json, names its parts.
struct ComposedConfig : ComposedEyes {
  enum class Fusion { unified, cross_attention, hybrid };

  LlamaDecoderConfig text;
  Fusion fusion;
  int64_t every;  // a layer of gated cross-attention stands in front of each so many-th of the decoder's; 0: none
  int64_t image_token;
  TileRule tiles;                  // uncut: the resolution is fixed
  std::vector<int64_t> tile_tags;  // the ids of <tile_1>, <tile_2>, ...; none: tiles are not told apart in the text
  int64_t thumbnail_tag;           // -1: none

  bool tagged() const { return !tile_tags.empty(); }
  // The tags' ids that the decoder's vocabulary does not have; they follow it, and are never written.
  int64_t further_tags() const;
  // Rows that a tile takes among the tokens of the text.
  int64_t rows_in_text(bool thumbnail) const;
};

// Throws Error(unsupported) for parts that are not known or do not fit together, Error(usage) for keys that the
// composition does not know; in the tables of encoder and decoder, which may come from a published file, those of
// others are passed over.
ComposedConfig parse_composed_config(const ConfigReader& config);

// A composition before it has a decoder: its Q-Former reads texts too, as in BLIP-2's first stage.
struct ComposedRetrievalConfig : ComposedEyes {
  int64_t image_text_width;  // of the space in which pictures and texts are compared
};
// Throws as parse_composed_config does.
ComposedRetrievalConfig parse_composed_retrieval_config(const ConfigReader& config);

}  // namespace nuri
