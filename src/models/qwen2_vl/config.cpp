#include "models/qwen2_vl/config.h"

#include <fmt/format.h>

#include "models/parts/size_config.h"

namespace nuri {
namespace {

constexpr int64_t kLargestSide = 4096;  // of a patch, a window, and of what is merged
using Kind = QwenVisionConfig::Kind;

// A field by its own name, or by the one that other models give it.
int64_t read_renamed(const ConfigReader& config, std::string_view key, std::string_view other, int64_t fallback,
                     int64_t largest) {
  return read_size(config, !config.has(key) && config.has(other) ? other : key, fallback, largest);
}

double read_theta(const ConfigReader& config) {
  ConfigReader rope = config.child_or_empty("rope_parameters");
  const char* key = rope.has("rope_type") ? "rope_type" : "type";
  std::string type = rope.maybe<std::string>(key).value_or("axial");
  if (type != "axial" && type != "default") rope.reject(key, "axial");
  if (!rope.has("rope_theta")) return config.optional("rope_theta", 10000.0);
  double theta = rope.required<double>("rope_theta");
  if (!(theta > 0)) rope.reject("rope_theta", "a number greater than 0");
  return theta;
}

void read_windows(const ConfigReader& config, QwenVisionConfig& c) {
  c.window = read_size(config, "window_size", 112, kLargestSide * kLargestSide);
  if (c.window_units() < 1)
    config.reject("window_size", fmt::format("at least one token, {} pixels", c.merge * c.patch));
  c.full_attention.assign(c.layers, false);
  for (int64_t layer : config.optional("fullatt_block_indexes", std::vector<int64_t>{7, 15, 23, 31}))
    if (layer >= 0 && layer < c.layers) c.full_attention[layer] = true;
}

void check_model_type(const ConfigReader& config, std::string_view family) {
  // Published files give the whole model's name.
  std::string type = config.maybe<std::string>("model_type").value_or(std::string(family));
  if (type != family && type != std::string(family) + "_vision")
    config.reject("model_type", fmt::format("{}_vision", family));
}

QwenVisionConfig read_vision(const ConfigReader& config, Kind kind) {
  bool newer = kind == Kind::qwen2_5;
  check_model_type(config, newer ? "qwen2_5_vl" : "qwen2_vl");
  QwenVisionConfig c{};
  c.kind = kind;
  c.layers = read_renamed(config, "depth", "num_hidden_layers", 32, kMostLayers);
  c.heads = read_renamed(config, "num_heads", "num_attention_heads", 16, kLargestSize);
  c.channels = read_size(config, "in_channels", 3, kLargestSide);
  c.patch = read_size(config, "patch_size", 14, kLargestSide);
  c.temporal_patch = read_size(config, "temporal_patch_size", 2, kLargestSide);
  c.merge = read_size(config, "spatial_merge_size", 2, kLargestSide);
  c.activation = read_activation(config, "hidden_act", newer ? "silu" : "quick_gelu");
  c.theta = read_theta(config);
  const char* width = newer ? "hidden_size" : "embed_dim";
  c.width = read_size(config, width, newer ? 3584 : 1280);
  if (c.width % c.heads != 0 || c.head_dim() % 4 != 0)
    config.reject("num_heads", fmt::format("heads of a multiple of 4 values, {} is {}", width, c.width));
  if (newer) {
    c.hidden = read_size(config, "intermediate_size", 3420);
    c.out_width = read_size(config, "out_hidden_size", 3584);
    c.tokens_per_second = read_size(config, "tokens_per_second", 4);
    read_windows(config, c);
  } else {
    c.hidden = c.width * read_size(config, "mlp_ratio", 4, 64);
    c.out_width = read_size(config, "hidden_size", 3584);
  }
  return c;
}

int64_t read_token(const ConfigReader& config, std::string_view key, int64_t fallback, int64_t vocabulary) {
  int64_t id = config.optional(key, fallback);
  // A default may lie beyond a small vocabulary; such a model meets no such token.
  if (config.has(key) && (id < 0 || id >= vocabulary))
    config.reject(key, fmt::format("an id below vocab_size {}", vocabulary));
  return id;
}

}  // namespace

Qwen2VlConfig parse_qwen2_vl_config(const ConfigReader& config) {
  auto names = config.maybe<std::vector<std::string>>("architectures");
  bool newer = names && !names->empty() && names->front().starts_with("Qwen2_5");
  std::string type = config.optional<std::string>("model_type", newer ? "qwen2_5_vl" : "qwen2_vl");
  if (type != "qwen2_vl" && type != "qwen2_5_vl") config.reject("model_type", "qwen2_vl or qwen2_5_vl");
  Qwen2VlConfig c;
  c.vision = read_vision(config.child_or_empty("vision_config"), type == "qwen2_vl" ? Kind::qwen2 : Kind::qwen2_5);
  // Files before transformers 4.52 have the text's fields beside vision_config.
  bool nested = config.has("text_config");
  ConfigReader text = nested ? config.child("text_config") : config;
  std::string text_type = nested ? text.optional<std::string>("model_type", type + "_text") : type + "_text";
  if (text_type != type + "_text" && text_type != type) text.reject("model_type", type + "_text");
  c.text = parse_qwen2_vl_text_config(text);
  c.text.tied_embeddings = c.text.tied_embeddings || config.optional("tie_word_embeddings", false);
  if (c.vision.out_width != c.text.width)
    config.child_or_empty("vision_config")
        .reject(type == "qwen2_vl" ? "hidden_size" : "out_hidden_size",
                fmt::format("the text's hidden_size {}", c.text.width));
  c.image_token = read_token(config, "image_token_id", 151655, c.text.vocabulary);
  c.video_token = read_token(config, "video_token_id", 151656, c.text.vocabulary);
  return c;
}

}  // namespace nuri
