#pragma once

#include <optional>

#include "models/parts/vision/vision_config.h"

namespace nuri {

constexpr int64_t kMostQueries = 65536;

// Sizes of a Q-Former, with the defaults of transformers' Blip2QFormerConfig.
struct QFormerConfig {
  EncoderConfig encoder;
  int64_t vocabulary, context;        // of its text embeddings
  int64_t cross_attention_frequency;  // every so many layers look at the picture, the first among them
  bool reads_text;                    // has a feed-forward for text: use_qformer_text_input
};

// InstructBLIP's always reads text; BLIP-2's says so.
QFormerConfig parse_qformer_config(const ConfigReader& config, bool always_reads_text);
// The id that stands for a query in a prompt: `image_token_index`, newer `image_token_id`; older files give none.
std::optional<int64_t> read_image_token(const ConfigReader& config);

}  // namespace nuri
