#include "models/parts/text/llama_decoder_config.h"

#include <fmt/format.h>

#include "base/error.h"
#include "models/parts/size_config.h"

namespace nuri {
namespace {

constexpr int64_t kLargestHead = 65536;

double positive(const ConfigReader& config, std::string_view key) {
  double value = config.required<double>(key);
  if (!(value > 0)) config.reject(key, "a number greater than 0");
  return value;
}

void read_scaling(const ConfigReader& scaling, int64_t context, RopeConfig& rope) {
  std::string key = scaling.has("rope_type") ? "rope_type" : "type";
  rope.type = scaling.optional<std::string>(key, "default");
  // The name of the default angles in older files of models with sections.
  if (!rope.sections.empty() && rope.type == "mrope") rope.type = "default";
  if (rope.type == "default") return;
  if (rope.type == "divided" && rope.sections.empty()) {
    rope.divisors = scaling.required<std::vector<double>>("divisors");
    return;
  }
  if (!rope.sections.empty() && rope.type != "linear" && rope.type != "llama3")
    scaling.reject(key, "default, mrope, linear or llama3");
  if (rope.type != "linear" && rope.type != "dynamic" && rope.type != "llama3")
    scaling.reject(key, "default, linear, dynamic or llama3");
  rope.factor = positive(scaling, "factor");
  rope.trained_context =
      rope.type == "llama3" ? read_size(scaling, "original_max_position_embeddings", context) : context;
  if (rope.type == "llama3") {
    rope.low_frequency_factor = positive(scaling, "low_freq_factor");
    rope.high_frequency_factor = positive(scaling, "high_freq_factor");
    // Equal ones leave nothing between: Llama 4 has 1 and 1.
    if (rope.high_frequency_factor < rope.low_frequency_factor)
      scaling.reject("high_freq_factor", "a number not less than low_freq_factor");
  }
}

RopeConfig read_rope(const ConfigReader& config, int64_t context, const RopeConfig& defaults) {
  RopeConfig rope = defaults;
  bool newer = config.has("rope_parameters");
  ConfigReader parameters = config.child_or_empty(newer ? "rope_parameters" : "rope_scaling");
  bool theta_inside = parameters.has("rope_theta");
  rope.theta = (theta_inside ? parameters : config).optional("rope_theta", defaults.theta);
  if (!(rope.theta > 0)) (theta_inside ? parameters : config).reject("rope_theta", "a number greater than 0");
  for (const ConfigReader& place : {config, parameters})
    if (place.has("partial_rotary_factor") && place.required<double>("partial_rotary_factor") != 1.0)
      place.reject("partial_rotary_factor", "1.0");
  read_scaling(parameters, context, rope);
  if (!rope.sections.empty()) rope.sections = parameters.optional("mrope_section", rope.sections);
  return rope;
}

void check_divisors(const ConfigReader& config, const LlamaDecoderConfig& c) {
  if (c.rope.type != "divided") return;
  bool fits = static_cast<int64_t>(c.rope.divisors.size()) == c.head_dim / 2;
  for (double divisor : c.rope.divisors) fits = fits && divisor > 0;
  if (!fits)
    config.child(config.has("rope_parameters") ? "rope_parameters" : "rope_scaling")
        .reject("divisors", fmt::format("{} numbers greater than 0", c.head_dim / 2));
}

LlamaDecoderConfig llama_defaults() {
  LlamaDecoderConfig defaults{};
  defaults.epsilon = 1e-6;
  return defaults;
}

// Whether the file says null, which is not the same as silence where the default is a number.
bool is_null(const ConfigReader& config, const char* key) { return config.json().contains(key) && !config.has(key); }

}  // namespace

LlamaDecoderConfig parse_decoder_config(const ConfigReader& config, const LlamaDecoderConfig& defaults) {
  LlamaDecoderConfig c = defaults;
  c.vocabulary = read_size(config, "vocab_size", defaults.vocabulary);
  c.width = read_size(config, "hidden_size", defaults.width);
  c.hidden = read_size(config, "intermediate_size", defaults.hidden);
  c.layers = read_size(config, "num_hidden_layers", defaults.layers, kMostLayers);
  c.heads = read_size(config, "num_attention_heads", defaults.heads);
  bool shared_heads = defaults.kv_heads > 0 && !is_null(config, "num_key_value_heads");
  c.kv_heads = read_size(config, "num_key_value_heads", shared_heads ? defaults.kv_heads : c.heads);
  if (c.heads % c.kv_heads != 0) config.reject("num_key_value_heads", fmt::format("a divisor of {}", c.heads));
  bool derived = !config.has("head_dim") && (defaults.head_dim == 0 || is_null(config, "head_dim"));
  if (derived && c.width % c.heads != 0)
    config.reject("num_attention_heads", fmt::format("a divisor of hidden_size {}", c.width));
  const int64_t derived_head = std::max<int64_t>(c.width / c.heads, 1);
  if (derived && derived_head > kLargestHead)
    config.reject("num_attention_heads",
                  fmt::format("heads of at most {} values, hidden_size is {}", kLargestHead, c.width));
  c.head_dim = read_size(config, "head_dim", derived ? derived_head : defaults.head_dim, kLargestHead);
  if (c.head_dim % 2 != 0) config.reject("head_dim", "an even number");
  c.context = read_size(config, "max_position_embeddings", defaults.context);
  c.epsilon = config.optional("rms_norm_eps", defaults.epsilon);
  c.activation = read_activation(config, "hidden_act", "silu");
  c.tied_embeddings = config.optional("tie_word_embeddings", false);
  c.deviation = config.optional("initializer_range", 0.02);
  c.rope = read_rope(config, c.context, defaults.rope);
  check_divisors(config, c);
  c.windows.assign(c.layers, 0);
  return c;
}

namespace {

void read_windows(const ConfigReader& config, int64_t default_full_layers, LlamaDecoderConfig& c) {
  if (!config.optional("use_sliding_window", false)) return;
  int64_t window = read_size(config, "sliding_window", 4096);
  auto types = config.maybe<std::vector<std::string>>("layer_types");
  int64_t full_layers = config.optional<int64_t>("max_window_layers", default_full_layers);
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

void check_sections(const ConfigReader& config, const LlamaDecoderConfig& c) {
  int64_t left = c.head_dim / 2;
  bool fits = true;
  for (int64_t section : c.rope.sections) {
    fits = fits && section > 0 && section <= left;
    left -= fits ? section : 0;
  }
  if (fits && left == 0) return;
  config.child_or_empty(config.has("rope_parameters") ? "rope_parameters" : "rope_scaling")
      .reject("mrope_section", fmt::format("sizes from 1 that together are half of a head, {}", c.head_dim / 2));
}

}  // namespace

LlamaDecoderConfig parse_llama_config(const ConfigReader& config) {
  LlamaDecoderConfig defaults = llama_defaults();
  defaults.vocabulary = 32000, defaults.width = 4096, defaults.hidden = 11008, defaults.layers = 32;
  defaults.heads = 32, defaults.context = 2048;
  LlamaDecoderConfig c = parse_decoder_config(config, defaults);
  c.qkv_bias = c.output_bias = config.optional("attention_bias", false);
  c.mlp_bias = config.optional("mlp_bias", false);
  return c;
}

LlamaDecoderConfig parse_qwen2_config(const ConfigReader& config) {
  LlamaDecoderConfig defaults = llama_defaults();
  defaults.vocabulary = 151936, defaults.width = 4096, defaults.hidden = 22016, defaults.layers = 32;
  defaults.heads = 32, defaults.kv_heads = 32, defaults.context = 32768;
  LlamaDecoderConfig c = parse_decoder_config(config, defaults);
  c.qkv_bias = true;
  read_windows(config, 28, c);
  return c;
}

LlamaDecoderConfig parse_mistral_config(const ConfigReader& config) {
  LlamaDecoderConfig defaults = llama_defaults();
  defaults.vocabulary = 32000, defaults.width = 4096, defaults.hidden = 14336, defaults.layers = 32;
  defaults.heads = 32, defaults.kv_heads = 8, defaults.context = 131072;
  LlamaDecoderConfig c = parse_decoder_config(config, defaults);
  if (!is_null(config, "sliding_window")) c.windows.assign(c.layers, read_size(config, "sliding_window", 4096));
  return c;
}

LlamaDecoderConfig parse_qwen2_vl_text_config(const ConfigReader& config) {
  LlamaDecoderConfig defaults{};
  defaults.vocabulary = 152064, defaults.width = 8192, defaults.hidden = 29568, defaults.layers = 80;
  defaults.heads = 64, defaults.kv_heads = 8, defaults.context = 32768, defaults.epsilon = 1e-5;
  defaults.rope.theta = 1e6, defaults.rope.sections = {16, 24, 24};
  LlamaDecoderConfig c = parse_decoder_config(config, defaults);
  if (c.head_dim != c.width / c.heads)
    config.reject("head_dim", fmt::format("hidden_size / num_attention_heads, {}", c.width / c.heads));
  c.qkv_bias = true;
  read_windows(config, 80, c);
  check_sections(config, c);
  return c;
}

LlamaDecoderConfig parse_internlm2_config(const ConfigReader& config) {
  LlamaDecoderConfig defaults{};
  defaults.vocabulary = 103168, defaults.width = 4096, defaults.hidden = 11008, defaults.layers = 32;
  defaults.heads = 32, defaults.context = 2048;
  LlamaDecoderConfig c = parse_decoder_config(config, defaults);
  c.qkv_bias = c.output_bias = config.optional("bias", true);
  return c;
}

LlamaDecoderConfig parse_text_config(const ConfigReader& config, const std::string& default_type) {
  std::string type = config.optional<std::string>("model_type", default_type);
  if (type == "llama") return parse_llama_config(config);
  if (type == "qwen2") return parse_qwen2_config(config);
  if (type == "mistral") return parse_mistral_config(config);
  if (type == "qwen2_vl_text" || type == "qwen2_5_vl_text") return parse_qwen2_vl_text_config(config);
  config.reject("model_type", "llama, mistral, qwen2, qwen2_vl_text or qwen2_5_vl_text");
}

}  // namespace nuri
