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
  std::string type = "default";  // default, linear, dynamic, llama3, divided
  double theta = 10000.0;
  double factor = 1.0;
  double low_frequency_factor = 1.0, high_frequency_factor = 4.0;
  int64_t trained_context = 0;
  // Frequencies that follow the position in time, height and width; empty: a position is one number.
  std::vector<int64_t> sections;
  // Of `divided`, which configurations of GGUF files name: what each frequency is divided by, half as many as a head
  // has numbers.
  std::vector<double> divisors;
};

// Sizes of a decoder built like Llama's.
struct LlamaDecoderConfig {
  int64_t vocabulary, width, hidden, layers, heads, kv_heads, head_dim, context;
  double epsilon = 1e-6;
  std::string activation;
  bool qkv_bias, output_bias, mlp_bias;
  bool tied_embeddings;
  double deviation;  // of new weights
  RopeConfig rope;
  std::vector<int64_t> windows;  // a layer's sliding window, 0: none
  int64_t further_tokens = 0;    // ids behind the vocabulary that are read and never written
};

// What Llama and its relatives spell alike; `defaults` holds what the reference's configuration class assumes
// (kv_heads, head_dim 0: as many as heads, the width shared among them). Biases are left at their defaults, windows at
// none.
LlamaDecoderConfig parse_decoder_config(const ConfigReader& config, const LlamaDecoderConfig& defaults);
// Llama 2, 3, 3.1, 3.2, 3.3, with the defaults of transformers' LlamaConfig.
LlamaDecoderConfig parse_llama_config(const ConfigReader& config);
// Qwen2 and Qwen2.5, with the defaults of transformers' Qwen2Config.
LlamaDecoderConfig parse_qwen2_config(const ConfigReader& config);
LlamaDecoderConfig parse_mistral_config(const ConfigReader& config);
// InternLM2 and 2.5, with the defaults of their published InternLM2Config.
LlamaDecoderConfig parse_internlm2_config(const ConfigReader& config);
// The text part of Qwen2-VL and Qwen2.5-VL (Qwen2VLTextConfig, Qwen2_5_VLTextConfig), whose positions have three
// dimensions.
LlamaDecoderConfig parse_qwen2_vl_text_config(const ConfigReader& config);
// By `model_type`.
LlamaDecoderConfig parse_text_config(const ConfigReader& config, const std::string& default_type);

}  // namespace nuri
