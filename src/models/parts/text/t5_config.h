#pragma once

#include <optional>
#include <string>

#include "base/config_reader.h"

namespace nuri {

// Sizes of a T5 encoder and decoder, with the defaults of transformers' T5Config.
struct T5Config {
  int64_t vocabulary, width, hidden, encoder_layers, decoder_layers, heads, head_dim;
  int64_t buckets, farthest;  // relative_attention_num_buckets, relative_attention_max_distance
  double epsilon;
  std::string activation;
  bool gated_mlp;
  bool scaled_output;  // the decoder's output is divided by sqrt(width): the original T5
  int64_t context;     // tokens of an answer; positions are relative, and know no end
  std::optional<int64_t> start_token, pad_token;
  double factor;  // of the deviations of new weights
};

T5Config parse_t5_config(const ConfigReader& config);

}  // namespace nuri
