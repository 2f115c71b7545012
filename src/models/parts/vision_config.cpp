#include "models/parts/vision_config.h"

#include <fmt/format.h>

#include "base/error.h"

namespace nuri {
namespace {

constexpr int64_t kLargest = int64_t{1} << 31;
constexpr int64_t kMostLayers = 10000;

int64_t size(const ConfigReader& config, std::string_view key, int64_t fallback, int64_t largest = kLargest) {
  int64_t value = config.optional(key, fallback);
  if (value <= 0 || value > largest) config.reject(key, fmt::format("a size from 1 to {}", largest));
  return value;
}

struct Defaults {
  int64_t width, hidden, layers, heads;
  double epsilon;
  const char* activation;
};

EncoderConfig read_encoder(const ConfigReader& config, const Defaults& d) {
  EncoderConfig c;
  c.width = size(config, "hidden_size", d.width);
  c.hidden = size(config, "intermediate_size", d.hidden);
  c.layers = size(config, "num_hidden_layers", d.layers, kMostLayers);
  c.heads = size(config, "num_attention_heads", d.heads);
  if (c.width % c.heads != 0) config.reject("num_attention_heads", fmt::format("a divisor of hidden_size {}", c.width));
  c.epsilon = config.optional("layer_norm_eps", d.epsilon);
  c.activation = config.optional<std::string>("hidden_act", d.activation);
  return c;
}

void read_picture(const ConfigReader& config, int64_t default_patch, VisionConfig& c) {
  c.channels = size(config, "num_channels", 3);
  c.image_size = size(config, "image_size", 224);
  c.patch_size = size(config, "patch_size", default_patch);
  if (c.patch_size > c.image_size) config.reject("patch_size", fmt::format("at most image_size {}", c.image_size));
  if (c.image_size > 16384) config.reject("image_size", "at most 16384");
}

}  // namespace

VisionConfig parse_clip_vision_config(const ConfigReader& config) {
  VisionConfig c{};
  c.kind = VisionConfig::Kind::clip;
  c.encoder = read_encoder(config, {768, 3072, 12, 12, 1e-5, "quick_gelu"});
  read_picture(config, 32, c);
  c.projection = size(config, "projection_dim", 512);
  return c;
}

VisionConfig parse_siglip_vision_config(const ConfigReader& config) {
  VisionConfig c{};
  c.kind = VisionConfig::Kind::siglip;
  c.encoder = read_encoder(config, {768, 3072, 12, 12, 1e-6, "gelu_pytorch_tanh"});
  read_picture(config, 16, c);
  c.pooling_head = config.optional("vision_use_head", true);
  return c;
}

VisionConfig parse_vision_config(const ConfigReader& config, const std::string& default_type) {
  std::string type = config.optional<std::string>("model_type", default_type);
  if (type == "clip_vision_model") return parse_clip_vision_config(config);
  if (type == "siglip_vision_model") return parse_siglip_vision_config(config);
  config.reject("model_type", "clip_vision_model or siglip_vision_model");
}

TextTowerConfig parse_clip_text_config(const ConfigReader& config) {
  TextTowerConfig c{};
  c.encoder = read_encoder(config, {512, 2048, 12, 8, 1e-5, "quick_gelu"});
  c.vocabulary = size(config, "vocab_size", 49408);
  c.context = size(config, "max_position_embeddings", 77);
  c.projection = size(config, "projection_dim", 512);
  c.end_of_text = config.optional<int64_t>("eos_token_id", 49407);
  return c;
}

TextTowerConfig parse_siglip_text_config(const ConfigReader& config) {
  TextTowerConfig c{};
  c.encoder = read_encoder(config, {768, 3072, 12, 12, 1e-6, "gelu_pytorch_tanh"});
  c.vocabulary = size(config, "vocab_size", 32000);
  c.context = size(config, "max_position_embeddings", 64);
  c.projection = size(config, "projection_size", c.encoder.width);
  return c;
}

}  // namespace nuri
