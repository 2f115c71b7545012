#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/config_reader.h"

namespace nuri {

// Rotary positions as config.json gives them, in the older spelling (`rope_theta`, `rope_scaling`) or the
// newer (`rope_parameters`).
struct RopeConfig {
  std::string type = "default";  // default, linear, dynamic, llama3
  double theta = 10000.0;
  double factor = 1.0;
  double low_frequency_factor = 1.0, high_frequency_factor = 4.0;
  int64_t trained_context = 0;
};

// Sizes of a decoder built like Llama's.
struct LlamaDecoderConfig {
  int64_t vocabulary, width, hidden, layers, heads, kv_heads, head_dim, context;
  double epsilon;
  std::string activation;
  bool qkv_bias, output_bias, mlp_bias;
  bool tied_embeddings;
  double deviation;  // of new weights
  RopeConfig rope;
  std::vector<int64_t> windows;  // a layer's sliding window, 0: none
};

// Llama 2, 3, 3.1, 3.2, 3.3, with the defaults of transformers' LlamaConfig.
LlamaDecoderConfig parse_llama_config(const ConfigReader& config);
// Qwen2 and Qwen2.5, with the defaults of transformers' Qwen2Config.
LlamaDecoderConfig parse_qwen2_config(const ConfigReader& config);
// By `model_type`.
LlamaDecoderConfig parse_text_config(const ConfigReader& config, const std::string& default_type);

}  // namespace nuri
