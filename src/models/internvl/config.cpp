#include "models/internvl/config.h"

#include <fmt/format.h>

#include <cmath>

#include "models/internvl/chat_config.h"
#include "models/parts/size_config.h"

namespace nuri {
namespace {

InternVitConfig parse_vision(const ConfigReader& config) {
  InternVitConfig c{};
  std::string type = config.optional<std::string>("model_type", "internvl_vision");
  if (type != "internvl_vision") config.reject("model_type", "internvl_vision");
  static_cast<PictureSizes&>(c) = read_picture_sizes(config, 14, 448);
  c.encoder = read_encoder(config, {1024, 4096, 24, 16, 1e-6, "gelu"});
  c.qkv_bias = config.optional("attention_bias", false);
  c.qk_norm = config.optional("use_qk_norm", false);
  c.qk_epsilon = 1e-6;
  c.rms_norm = read_norm_type(config, "layer_norm");
  c.learned_positions = config.optional("use_absolute_position_embeddings", true);
  c.closing_norm = !config.optional("use_mean_pooling", true);
  c.branch_scale = config.optional("layer_scale_init_value", 0.1);
  return c;
}

void read_features(const ConfigReader& config, InternvlConfig& c) {
  constexpr const char* kKey = "vision_feature_layer";
  FeatureChoice choice = read_feature_choice(config, c.vision.encoder.layers, -1);
  if (choice.layers.size() != 1) config.reject(kKey, "one layer");
  if (!choice.drop_first) config.reject("vision_feature_select_strategy", "default");
  c.layer = choice.layers[0];
  // The reference reads -1 as what the encoder gives in the end, other numbers as states between its layers.
  c.close = c.vision.closing_norm && config.maybe<Json>(kKey).value_or(Json(-1)) == Json(-1);
}

InternvlConfig parse_published_by_transformers(const ConfigReader& config) {
  InternvlConfig c{};
  c.vision = parse_vision(config.child_or_empty("vision_config"));
  ConfigReader text = config.child_or_empty("text_config");
  c.text = parse_text_config(text, "qwen2");
  // Newer files decide at the top level, older ones in the text part.
  if (config.has("tie_word_embeddings") || !text.has("tie_word_embeddings"))
    c.text.tied_embeddings = config.optional("tie_word_embeddings", true);
  c.image_token = config.optional<int64_t>("image_token_id", 151667);
  // The default lies beyond the default vocabulary; such a model reads texts only.
  if (config.has("image_token_id") && (c.image_token < 0 || c.image_token >= c.text.vocabulary))
    config.reject("image_token_id", fmt::format("an id below vocab_size {}", c.text.vocabulary));
  read_features(config, c);
  c.shrink = read_shrink(config, c.vision.patches_per_side());
  c.projector_activation = read_activation(config, "projector_hidden_act", "gelu");
  c.projector_hidden = c.text.width;
  c.projector_bias = true;
  c.tiles = {true, 1, 12, true};
  return c;
}

}  // namespace

bool is_form(const ConfigReader& config, std::string_view architecture, std::string_view type) {
  auto names = config.maybe<std::vector<std::string>>("architectures");
  if (names && !names->empty()) return names->front() == architecture;
  return config.maybe<std::string>("model_type") == type;
}

bool read_norm_type(const ConfigReader& config, const char* fallback) {
  std::string type = config.optional<std::string>("norm_type", fallback);
  if (type != "layer_norm" && type != "rms_norm") config.reject("norm_type", "layer_norm or rms_norm");
  return type == "rms_norm";
}

int64_t read_shrink(const ConfigReader& config, int64_t side) {
  double inverse = 1 / config.optional("downsample_ratio", 0.5);
  bool whole = inverse >= 1 && inverse <= static_cast<double>(side) && inverse == std::floor(inverse);
  if (!whole || side % static_cast<int64_t>(inverse) != 0)
    config.reject("downsample_ratio", fmt::format("1 / n, where n divides the {} patches of a picture's side", side));
  return static_cast<int64_t>(inverse);
}

InternvlConfig parse_internvl_config(const ConfigReader& config) {
  bool chat = is_form(config, "InternVLChatModel", "internvl_chat") || is_form(config, "NVLM_D", "NVLM_D");
  return chat ? parse_internvl_chat_config(config) : parse_published_by_transformers(config);
}

}  // namespace nuri
