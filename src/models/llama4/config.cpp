#include "models/llama4/config.h"

#include <algorithm>
#include <cmath>

#include "models/parts/size_config.h"

namespace nuri {
namespace {

// One flag a layer. The reference takes an empty list for none.
std::vector<bool> read_rotary_layers(const ConfigReader& config, int64_t layers) {
  int64_t interval = read_size(config, "no_rope_layer_interval", 4);
  std::vector<bool> rotary;
  for (int64_t layer = 0; layer < layers; ++layer) rotary.push_back((layer + 1) % interval != 0);
  auto given = config.maybe<std::vector<int64_t>>("no_rope_layers");
  if (!given || given->empty()) return rotary;
  if (static_cast<int64_t>(given->size()) < layers)
    config.reject("no_rope_layers", fmt::format("one number for each of {} layers", layers));
  for (int64_t layer = 0; layer < layers; ++layer) rotary[layer] = (*given)[layer] != 0;
  return rotary;
}

std::vector<bool> read_expert_layers(const ConfigReader& config, int64_t layers) {
  std::vector<bool> routed(layers, false);
  if (auto given = config.maybe<std::vector<int64_t>>("moe_layers")) {
    for (int64_t layer : *given)
      if (layer >= 0 && layer < layers) routed[layer] = true;
    return routed;
  }
  int64_t step = read_size(config, "interleave_moe_layer_step", 1);
  for (int64_t layer = step - 1; layer < layers; layer += step) routed[layer] = true;
  return routed;
}

std::vector<bool> read_chunked_layers(const ConfigReader& config, const std::vector<bool>& rotary) {
  auto types = config.maybe<std::vector<std::string>>("layer_types");
  if (!types) return rotary;
  if (types->size() < rotary.size())
    config.reject("layer_types", fmt::format("one for each of {} layers", rotary.size()));
  std::vector<bool> chunked;
  for (size_t layer = 0; layer < rotary.size(); ++layer) {
    const std::string& type = (*types)[layer];
    if (type != "chunked_attention" && type != "full_attention")
      config.reject("layer_types", "chunked_attention or full_attention");
    chunked.push_back(type == "chunked_attention");
  }
  return chunked;
}

void read_layers(const ConfigReader& config, Llama4TextConfig& c) {
  std::vector<bool> rotary = read_rotary_layers(config, c.decoder.layers);
  std::vector<bool> routed = read_expert_layers(config, c.decoder.layers);
  std::vector<bool> chunked = read_chunked_layers(config, rotary);
  bool any = std::find(chunked.begin(), chunked.end(), true) != chunked.end();
  if (any && config.json().contains("attention_chunk_size") && !config.has("attention_chunk_size"))
    config.reject("attention_chunk_size", "a size, since there are layers of chunked attention");
  int64_t chunk = any ? read_size(config, "attention_chunk_size", 8192) : 0;
  for (int64_t layer = 0; layer < c.decoder.layers; ++layer)
    c.layers.push_back({routed[layer], rotary[layer], chunked[layer] ? chunk : 0});
}

// A flag; the first published files have a number there.
bool read_temperature(const ConfigReader& config) {
  constexpr const char* kKey = "attn_temperature_tuning";
  if (config.has(kKey) && config.required<Json>(kKey).is_number()) return config.required<double>(kKey) != 0;
  return config.optional(kKey, true);
}

// A side of a square: a number, or two that are equal.
int64_t read_side(const ConfigReader& config, const char* key, int64_t fallback) {
  if (!config.has(key) || !config.required<Json>(key).is_array()) return read_size(config, key, fallback);
  auto sides = config.required<std::vector<int64_t>>(key);
  if (sides.size() != 2 || sides[0] != sides[1] || sides[0] < 1 || sides[0] > kLargestSize)
    config.reject(key, "one size, or two that are equal");
  return sides[0];
}

double read_theta(const ConfigReader& config) {
  ConfigReader parameters = config.child_or_empty("rope_parameters");
  const ConfigReader& place = parameters.has("rope_theta") ? parameters : config;
  double theta = place.optional("rope_theta", 10000.0);
  if (!(theta > 0)) place.reject("rope_theta", "a number greater than 0");
  return theta;
}

// 1 / pixel_shuffle_ratio, which has to divide the picture's side in patches.
int64_t read_shuffle(const ConfigReader& config, int64_t side) {
  constexpr const char* kKey = "pixel_shuffle_ratio";
  double ratio = config.optional(kKey, 0.5);
  bool fits = ratio > 0 && ratio <= 1 && 1 / ratio <= static_cast<double>(side);
  int64_t shuffle = fits ? std::llround(1 / ratio) : 1;
  if (!fits || std::abs(1 / ratio - static_cast<double>(shuffle)) > 1e-9 || side % shuffle != 0)
    config.reject(kKey, fmt::format("1 divided by a divisor of {}, the patches along a side", side));
  return shuffle;
}

Llama4VisionConfig parse_vision(const ConfigReader& config) {
  Llama4VisionConfig c{};
  c.channels = read_size(config, "num_channels", 3);
  c.image_size = read_side(config, "image_size", 448);
  c.patch_size = read_side(config, "patch_size", 14);
  if (c.image_size > 16384) config.reject("image_size", "at most 16384");
  if (c.patch_size > c.image_size) config.reject("patch_size", fmt::format("at most image_size {}", c.image_size));
  // Norms and activations are fixed in the reference, whatever `norm_eps` and `hidden_act` say.
  c.encoder = {read_size(config, "hidden_size", 768),
               read_size(config, "intermediate_size", 5632),
               read_size(config, "num_hidden_layers", 34, kMostLayers),
               read_size(config, "num_attention_heads", 16),
               1e-5,
               "gelu"};
  const auto& [width, hidden, layers, heads, epsilon, activation] = c.encoder;
  if (width % heads != 0 || width / heads % 4 != 0)
    config.reject("num_attention_heads", fmt::format("heads of a multiple of 4 values, hidden_size is {}", width));
  c.theta = read_theta(config);
  c.shuffle = read_shuffle(config, c.side());
  if (width > kLargestSize / (c.shuffle * c.shuffle) || width * c.shuffle * c.shuffle != hidden)
    config.reject("intermediate_size", fmt::format("hidden_size {} / pixel_shuffle_ratio^2", width));
  c.adapter_width = read_size(config, "projector_input_dim", 4096);
  c.output = read_size(config, "projector_output_dim", 4096);
  if (c.adapter_width != c.output)
    config.reject("projector_output_dim", fmt::format("projector_input_dim {}", c.adapter_width));
  if (read_size(config, "vision_output_dim", 7680) != c.output)
    config.reject("vision_output_dim", fmt::format("projector_output_dim {}", c.output));
  return c;
}

}  // namespace

Llama4TextConfig parse_llama4_text_config(const ConfigReader& config) {
  LlamaDecoderConfig defaults{};
  defaults.vocabulary = 202048, defaults.width = 5120, defaults.hidden = 8192, defaults.layers = 48;
  defaults.heads = 40, defaults.kv_heads = 8, defaults.head_dim = 128, defaults.context = 131072;
  defaults.epsilon = 1e-5, defaults.rope.theta = 500000;
  Llama4TextConfig c{};
  c.decoder = parse_decoder_config(config, defaults);
  c.dense_hidden = read_size(config, "intermediate_size_mlp", 16384);
  c.experts = read_size(config, "num_local_experts", 16, kMostExperts);
  c.chosen = read_size(config, "num_experts_per_tok", 1);
  if (c.chosen > c.experts)
    config.reject("num_experts_per_tok", fmt::format("at most num_local_experts {}", c.experts));
  c.attention_bias = config.optional("attention_bias", false);
  c.query_key_norm = config.optional("use_qk_norm", true);
  c.temperature = read_temperature(config);
  c.temperature_floor = static_cast<double>(read_size(config, "floor_scale", 8192));
  c.temperature_scale = config.optional("attn_scale", 0.1);
  read_layers(config, c);
  return c;
}

Llama4Config parse_llama4_config(const ConfigReader& config) {
  ConfigReader text = config.child_or_empty("text_config"), vision = config.child_or_empty("vision_config");
  if (text.optional<std::string>("model_type", "llama4_text") != "llama4_text")
    text.reject("model_type", "llama4_text");
  if (vision.optional<std::string>("model_type", "llama4_vision_model") != "llama4_vision_model")
    vision.reject("model_type", "llama4_vision_model");
  Llama4Config c{parse_llama4_text_config(text), parse_vision(vision), 0};
  const char* key = config.has("image_token_id") ? "image_token_id" : "image_token_index";
  c.image_token = config.optional<int64_t>(key, 200092);
  if (config.has(key) && (c.image_token < 0 || c.image_token >= c.text.decoder.vocabulary))
    config.reject(key, fmt::format("an id below vocab_size {}", c.text.decoder.vocabulary));
  return c;
}

}  // namespace nuri
