#pragma once

#include <string>

#include "base/config_reader.h"

namespace nuri {

// Sizes of an OPT decoder, with the defaults of transformers' OPTConfig.
struct OptDecoderConfig {
  int64_t vocabulary, width, hidden, layers, heads, context;
  int64_t word_width;  // of the embeddings: word_embed_proj_dim
  std::string activation;
  bool norm_first;  // do_layer_norm_before: false in OPT-350m
  bool final_norm;
  bool bias, learned_norm;  // of the linear layers; whether norms have weights
  bool tied_embeddings;
  double deviation;  // of new weights
};

OptDecoderConfig parse_opt_config(const ConfigReader& config);

}  // namespace nuri
