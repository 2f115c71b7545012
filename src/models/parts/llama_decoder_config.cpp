#include "models/parts/llama_decoder_config.h"

#include <fmt/format.h>

#include "base/error.h"

namespace nuri {
namespace {

constexpr int64_t kLargest = int64_t{1} << 31;
constexpr int64_t kMostLayers = 10000;
constexpr int64_t kLargestHead = 65536;

int64_t size(const ConfigReader& config, std::string_view key, int64_t fallback, int64_t largest = kLargest) {
  int64_t value = config.optional(key, fallback);
  if (value <= 0 || value > largest) config.reject(key, fmt::format("a size from 1 to {}", largest));
  return value;
}

double positive(const ConfigReader& config, std::string_view key) {
  double value = config.required<double>(key);
  if (!(value > 0)) config.reject(key, "a number greater than 0");
  return value;
}

void read_scaling(const ConfigReader& scaling, int64_t context, RopeConfig& rope) {
  std::string key = scaling.has("rope_type") ? "rope_type" : "type";
  rope.type = scaling.optional<std::string>(key, "default");
  if (rope.type == "default") return;
  if (rope.type != "linear" && rope.type != "dynamic" && rope.type != "llama3")
    scaling.reject(key, "default, linear, dynamic or llama3");
  rope.factor = positive(scaling, "factor");
  rope.trained_context = rope.type == "llama3" ? size(scaling, "original_max_position_embeddings", context) : context;
  if (rope.type == "llama3") {
    rope.low_frequency_factor = positive(scaling, "low_freq_factor");
    rope.high_frequency_factor = positive(scaling, "high_freq_factor");
    if (rope.high_frequency_factor <= rope.low_frequency_factor)
      scaling.reject("high_freq_factor", "a number greater than low_freq_factor");
  }
}

RopeConfig read_rope(const ConfigReader& config, int64_t context) {
  RopeConfig rope;
  bool newer = config.has("rope_parameters");
  ConfigReader parameters = config.child_or_empty(newer ? "rope_parameters" : "rope_scaling");
  bool theta_inside = parameters.has("rope_theta");
  rope.theta = (theta_inside ? parameters : config).optional("rope_theta", 10000.0);
  if (!(rope.theta > 0)) (theta_inside ? parameters : config).reject("rope_theta", "a number greater than 0");
  for (const ConfigReader& place : {config, parameters})
    if (place.has("partial_rotary_factor") && place.required<double>("partial_rotary_factor") != 1.0)
      place.reject("partial_rotary_factor", "1.0");
  read_scaling(parameters, context, rope);
  return rope;
}

// What both families spell alike.
LlamaDecoderConfig read_shared(const ConfigReader& config, const LlamaDecoderConfig& defaults) {
  LlamaDecoderConfig c = defaults;
  c.vocabulary = size(config, "vocab_size", defaults.vocabulary);
  c.width = size(config, "hidden_size", defaults.width);
  c.hidden = size(config, "intermediate_size", defaults.hidden);
  c.layers = size(config, "num_hidden_layers", defaults.layers, kMostLayers);
  c.heads = size(config, "num_attention_heads", defaults.heads);
  c.kv_heads = size(config, "num_key_value_heads", defaults.kv_heads > 0 ? defaults.kv_heads : c.heads);
  if (c.heads % c.kv_heads != 0) config.reject("num_key_value_heads", fmt::format("a divisor of {}", c.heads));
  if (!config.has("head_dim") && c.width % c.heads != 0)
    config.reject("num_attention_heads", fmt::format("a divisor of hidden_size {}", c.width));
  const int64_t derived_head = std::max<int64_t>(c.width / c.heads, 1);
  if (!config.has("head_dim") && derived_head > kLargestHead)
    config.reject("num_attention_heads",
                  fmt::format("heads of at most {} values, hidden_size is {}", kLargestHead, c.width));
  c.head_dim = size(config, "head_dim", derived_head, kLargestHead);
  if (c.head_dim % 2 != 0) config.reject("head_dim", "an even number");
  c.context = size(config, "max_position_embeddings", defaults.context);
  c.epsilon = config.optional("rms_norm_eps", 1e-6);
  c.activation = config.optional<std::string>("hidden_act", "silu");
  c.tied_embeddings = config.optional("tie_word_embeddings", false);
  c.deviation = config.optional("initializer_range", 0.02);
  c.rope = read_rope(config, c.context);
  c.windows.assign(c.layers, 0);
  return c;
}

void read_windows(const ConfigReader& config, LlamaDecoderConfig& c) {
  if (!config.optional("use_sliding_window", false)) return;
  int64_t window = size(config, "sliding_window", 4096);
  auto types = config.maybe<std::vector<std::string>>("layer_types");
  int64_t full_layers = config.optional<int64_t>("max_window_layers", 28);
  if (types && static_cast<int64_t>(types->size()) != c.layers)
    config.reject("layer_types", fmt::format("one for each of {} layers", c.layers));
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    bool slides = layer >= full_layers;
    if (types) {
      const std::string& type = (*types)[layer];
      if (type != "full_attention" && type != "sliding_attention")
        config.reject("layer_types", "full_attention or sliding_attention");
      slides = type == "sliding_attention";
    }
    c.windows[layer] = slides ? window : 0;
  }
}

}  // namespace

LlamaDecoderConfig parse_llama_config(const ConfigReader& config) {
  LlamaDecoderConfig defaults{};
  defaults.vocabulary = 32000, defaults.width = 4096, defaults.hidden = 11008, defaults.layers = 32;
  defaults.heads = 32, defaults.context = 2048;
  LlamaDecoderConfig c = read_shared(config, defaults);
  c.qkv_bias = c.output_bias = config.optional("attention_bias", false);
  c.mlp_bias = config.optional("mlp_bias", false);
  return c;
}

LlamaDecoderConfig parse_qwen2_config(const ConfigReader& config) {
  LlamaDecoderConfig defaults{};
  defaults.vocabulary = 151936, defaults.width = 4096, defaults.hidden = 22016, defaults.layers = 32;
  defaults.heads = 32, defaults.kv_heads = 32, defaults.context = 32768;
  LlamaDecoderConfig c = read_shared(config, defaults);
  c.qkv_bias = true;
  read_windows(config, c);
  return c;
}

LlamaDecoderConfig parse_text_config(const ConfigReader& config, const std::string& default_type) {
  std::string type = config.optional<std::string>("model_type", default_type);
  if (type == "llama") return parse_llama_config(config);
  if (type == "qwen2") return parse_qwen2_config(config);
  config.reject("model_type", "llama or qwen2");
}

}  // namespace nuri
