#include "models/vit/config.h"

#include <cmath>

#include "models/parts/size_config.h"

namespace nuri {
namespace {

bool classifies(const ConfigReader& config) {
  auto names = config.maybe<std::vector<std::string>>("architectures");
  return names && !names->empty() && names->front().ends_with("ForImageClassification");
}

// The reference keeps no number of labels in its files, but their names.
int64_t count_labels(const ConfigReader& config) {
  if (config.has("id2label")) return static_cast<int64_t>(config.required<Json>("id2label").size());
  return config.optional<int64_t>("num_labels", 2);
}

// int(width * mlp_ratio); of the gated form two thirds of it, up to a multiple of 8.
int64_t dinov2_hidden(const ConfigReader& config, int64_t width, bool gated) {
  auto ratio = config.optional("mlp_ratio", 4.0);
  if (!(ratio > 0 && ratio <= 64)) config.reject("mlp_ratio", "a number from 0 to 64");
  auto hidden = static_cast<int64_t>(static_cast<double>(width) * ratio);
  if (gated) hidden = (hidden * 2 / 3 + 7) / 8 * 8;
  if (hidden < 1) config.reject("mlp_ratio", "one that leaves a hidden width of at least 1");
  return hidden;
}

}  // namespace

VitConfig parse_vit_config(const ConfigReader& config) {
  VitConfig c{};
  auto type = config.optional<std::string>("model_type", "vit");
  if (type != "vit" && type != "dinov2") config.reject("model_type", "vit or dinov2");
  c.kind = type == "vit" ? VitConfig::Kind::vit : VitConfig::Kind::dinov2;
  bool dino = c.kind == VitConfig::Kind::dinov2;
  static_cast<PictureSizes&>(c) = read_picture_sizes(config, dino ? 14 : 16);
  c.encoder = read_encoder(config, {768, 3072, 12, 12, dino ? 1e-6 : 1e-12, "gelu"});
  c.qkv_bias = config.optional("qkv_bias", true);
  if (dino) {
    c.gated_mlp = config.optional("use_swiglu_ffn", false);
    c.mask_token = config.optional("use_mask_token", true);
    c.encoder.hidden = dinov2_hidden(config, c.encoder.width, c.gated_mlp);
  }
  if (classifies(config)) {
    c.labels = count_labels(config);
    if (c.labels < 1) config.reject("id2label", "at least one label");
  } else if (!dino) {
    c.pooled_width = read_size(config, "pooler_output_size", c.encoder.width);
    c.pooler_activation = read_activation(config, "pooler_act", "tanh");
  }
  return c;
}

}  // namespace nuri
