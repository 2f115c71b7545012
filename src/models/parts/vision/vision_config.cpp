#include "models/parts/vision/vision_config.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "models/parts/size_config.h"

namespace nuri {

EncoderConfig read_encoder(const ConfigReader& config, const EncoderDefaults& d) {
  EncoderConfig c;
  c.width = read_size(config, "hidden_size", d.width);
  c.hidden = read_size(config, "intermediate_size", d.hidden);
  c.layers = read_size(config, "num_hidden_layers", d.layers, kMostLayers);
  c.heads = read_size(config, "num_attention_heads", d.heads);
  if (c.width % c.heads != 0) config.reject("num_attention_heads", fmt::format("a divisor of hidden_size {}", c.width));
  c.epsilon = config.optional("layer_norm_eps", d.epsilon);
  c.activation = read_activation(config, "hidden_act", d.activation);
  return c;
}

namespace {

int64_t read_side(const ConfigReader& config, const char* key, int64_t fallback) {
  if (!config.has(key) || !config.required<Json>(key).is_array()) return read_size(config, key, fallback);
  auto sides = config.required<std::vector<int64_t>>(key);
  if (sides.size() != 2 || sides[0] != sides[1] || sides[0] < 1 || sides[0] > kLargestSize)
    config.reject(key, "a size, or height and width, equal ones");
  return sides[0];
}

}  // namespace

PictureSizes read_picture_sizes(const ConfigReader& config, int64_t default_patch, int64_t default_image) {
  PictureSizes c;
  c.channels = read_size(config, "num_channels", 3);
  c.image_size = read_side(config, "image_size", default_image);
  c.patch_size = read_side(config, "patch_size", default_patch);
  if (c.patch_size > c.image_size) config.reject("patch_size", fmt::format("at most image_size {}", c.image_size));
  if (c.image_size > 16384) config.reject("image_size", "at most 16384");
  return c;
}

VisionConfig parse_clip_vision_config(const ConfigReader& config) {
  VisionConfig c{};
  c.kind = VisionConfig::Kind::clip;
  c.encoder = read_encoder(config, {768, 3072, 12, 12, 1e-5, "quick_gelu"});
  static_cast<PictureSizes&>(c) = read_picture_sizes(config, 32);
  c.projection = read_size(config, "projection_dim", 512);
  return c;
}

VisionConfig parse_siglip_vision_config(const ConfigReader& config) {
  VisionConfig c{};
  c.kind = VisionConfig::Kind::siglip;
  c.encoder = read_encoder(config, {768, 3072, 12, 12, 1e-6, "gelu_pytorch_tanh"});
  static_cast<PictureSizes&>(c) = read_picture_sizes(config, 16);
  c.pooling_head = config.optional("vision_use_head", true);
  return c;
}

VisionConfig parse_siglip2_vision_config(const ConfigReader& config) {
  VisionConfig c{};
  c.kind = VisionConfig::Kind::siglip;
  c.encoder = read_encoder(config, {768, 3072, 12, 12, 1e-6, "gelu_pytorch_tanh"});
  c.channels = read_size(config, "num_channels", 3, 1 << 10);
  c.patch_size = read_size(config, "patch_size", 16, 1 << 10);
  c.pooling_head = config.optional("vision_use_head", true);
  c.naflex_patches = read_size(config, "num_patches", 256, 1 << 20);
  auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(c.naflex_patches))));
  if (side * side != c.naflex_patches) config.reject("num_patches", "the square of a whole number");
  return c;
}

BlipVisionConfig parse_blip_vision_config(const ConfigReader& config) {
  BlipVisionConfig c{};
  c.encoder = read_encoder(config, {1408, 6144, 39, 16, 1e-6, "gelu"});
  static_cast<PictureSizes&>(c) = read_picture_sizes(config, 14);
  if (c.channels != 3) config.reject("num_channels", "3");
  c.qkv_bias = config.optional("qkv_bias", true);
  return c;
}

VisionConfig parse_vision_config(const ConfigReader& config, const std::string& default_type) {
  std::string type = config.optional<std::string>("model_type", default_type);
  if (type == "clip_vision_model") return parse_clip_vision_config(config);
  if (type == "siglip_vision_model") return parse_siglip_vision_config(config);
  config.reject("model_type", "clip_vision_model or siglip_vision_model");
}

FeatureChoice read_feature_choice(const ConfigReader& config, int64_t layers, int64_t default_layer) {
  constexpr const char* kKey = "vision_feature_layer";
  FeatureChoice choice;
  if (config.has(kKey) && config.required<Json>(kKey).is_array()) {
    choice.layers = config.required<std::vector<int64_t>>(kKey);
  } else {
    choice.layers = {config.optional<int64_t>(kKey, default_layer)};
  }
  if (choice.layers.empty()) config.reject(kKey, "at least one layer");
  for (int64_t& index : choice.layers) {
    if (index < -(layers + 1) || index > layers)
      config.reject(kKey, fmt::format("layers from {} to {}", -(layers + 1), layers));
    if (index < 0) index += layers + 1;
  }
  std::string strategy = config.optional<std::string>("vision_feature_select_strategy", "default");
  if (strategy != "default" && strategy != "full") config.reject("vision_feature_select_strategy", "default or full");
  choice.drop_first = strategy == "default";
  return choice;
}

TextTowerConfig parse_clip_text_config(const ConfigReader& config) {
  TextTowerConfig c{};
  c.encoder = read_encoder(config, {512, 2048, 12, 8, 1e-5, "quick_gelu"});
  c.vocabulary = read_size(config, "vocab_size", 49408);
  c.context = read_size(config, "max_position_embeddings", 77);
  c.projection = read_size(config, "projection_dim", 512);
  c.end_of_text = config.optional<int64_t>("eos_token_id", 49407);
  return c;
}

TextTowerConfig parse_siglip_text_config(const ConfigReader& config) {
  TextTowerConfig c{};
  c.encoder = read_encoder(config, {768, 3072, 12, 12, 1e-6, "gelu_pytorch_tanh"});
  c.vocabulary = read_size(config, "vocab_size", 32000);
  c.context = read_size(config, "max_position_embeddings", 64);
  c.projection = read_size(config, "projection_size", c.encoder.width);
  return c;
}

}  // namespace nuri
