#include "models/llava/model.h"
#include "models/parts/inputs.h"

#include <ATen/ATen.h>

namespace nuri {

LlavaReader::LlavaReader(const WeightView& weights, const LlavaConfig& config)
    : config_(config),
      vision_(make_vision_tower(weights / "vision_tower", config.vision)),
      connector_(weights / "multi_modal_projector",
                 config.vision.encoder.width * static_cast<int64_t>(config.features.layers.size()), config.text.width,
                 config.text.width, activation_named(config.projector_activation, "projector_hidden_act"),
                 config.projector_bias) {}

at::Tensor LlavaReader::tiles(const NamedTensors& inputs, const at::Tensor& like) const {
  return pixel_values(inputs, config_.vision, like);
}

at::Tensor LlavaReader::encode(const at::Tensor& tiles) const {
  at::Tensor features = chosen_features(*vision_, config_.features, tiles);  // [N, t, k D_v]
  at::Tensor rows = connector_(features.reshape({-1, features.size(-1)}));
  return rows.view({tiles.size(0), -1, rows.size(-1)});
}

at::Tensor LlavaReader::arrange(const at::Tensor& features, const NamedTensors&) const {
  return features.flatten(0, 1);
}

std::unique_ptr<Model> make_llava(const ConfigReader& config, const WeightView& weights) {
  LlavaConfig c = parse_llava_config(config);
  return std::make_unique<UnifiedModel>(std::make_unique<LlavaReader>(weights, c), weights / "language_model", c.text,
                                        c.image_token);
}

NameRules llava_names(const ConfigReader& config) {
  NameRules rules;
  rules.renames = {
      {"model.vision_tower.vision_model.", "vision_tower."},
      {"vision_tower.vision_model.", "vision_tower."},
      {"model.vision_tower.", "vision_tower."},
      {"model.language_model.", "language_model.model."},
      {"model.multi_modal_projector.", "multi_modal_projector."},
      {"model.image_newline", "image_newline"},
      {"lm_head.", "language_model.lm_head."},
  };
  rules.ignored = {"*rotary_emb.inv_freq", "*embeddings.position_ids"};
  return rules;
}

}  // namespace nuri
