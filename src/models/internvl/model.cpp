#include "models/internvl/model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <span>

#include "models/internvl/vision.h"
#include "models/parts/connectors/connector.h"
#include "models/parts/connectors/mlp_connector.h"
#include "models/parts/fusion/unified_model.h"
#include "models/parts/inputs.h"

namespace nuri {
namespace {

constexpr double kConnectorEpsilon = 1e-5;

class InternvlReader : public TileReader {
 public:
  InternvlReader(const WeightView& weights, const InternvlConfig& config)
      : config_(config),
        vision_(weights / "vision_tower", config.vision),
        norm_(weights / "multi_modal_projector" / "layer_norm", shuffled_width(config), kConnectorEpsilon),
        connector_(weights / "multi_modal_projector", shuffled_width(config), config.projector_hidden,
                   config.text.width, activation_named(config.projector_activation, "projector_hidden_act"),
                   config.projector_bias) {}

  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    int64_t side = config_.vision.image_size;
    TileRule::Grid grid = config_.tiles.grid_of(std::max<int64_t>(width, 1), std::max<int64_t>(height, 1), side, side);
    return {{"pixel_values", at::zeros({config_.tiles.tiles_in(grid), config_.vision.channels, side, side})}};
  }

  at::Tensor tiles(const NamedTensors& inputs, const at::Tensor& like) const override {
    return pixel_values(inputs, config_.vision, like);
  }

  at::Tensor encode(const at::Tensor& tiles) const override {
    at::Tensor states = vision_.forward(tiles, config_.layer, config_.close);  // [N, 1 + P, D_v]
    at::Tensor patches = states.narrow(1, 1, states.size(1) - 1);
    at::Tensor rows = pixel_shuffle(patches, config_.vision.patches_per_side(), config_.shrink, config_.columns_first);
    return connector_(norm_(rows));  // [N, t, D]
  }

  // All tiles in a row, the thumbnail behind those of its picture.
  at::Tensor arrange(const at::Tensor& features, const NamedTensors&) const override { return features; }

 private:
  static int64_t shuffled_width(const InternvlConfig& config) {
    return config.vision.encoder.width * config.shrink * config.shrink;
  }

  InternvlConfig config_;
  InternVit vision_;
  nn::LayerNorm norm_;
  MlpConnector connector_;
};

constexpr Rename kTransformersNames[] = {
    {"model.vision_tower.", "vision_tower."},
    {"model.language_model.", "language_model.model."},
    {"model.multi_modal_projector.", "multi_modal_projector."},
    {"lm_head.", "language_model.lm_head."},
};

constexpr Rename kChatNames[] = {
    {"vision_model.embeddings.class_embedding", "vision_tower.embeddings.cls_token"},
    {"vision_model.embeddings.patch_embedding.", "vision_tower.embeddings.patch_embeddings.projection."},
    {"vision_model.embeddings.position_embedding", "vision_tower.embeddings.position_embeddings"},
    {"vision_model.encoder.layers.*.attn.proj.", "vision_tower.encoder.layer.*.attention.projection_layer."},
    {"vision_model.encoder.layers.*.attn.", "vision_tower.encoder.layer.*.attention."},
    {"vision_model.encoder.layers.*.norm1.", "vision_tower.encoder.layer.*.layernorm_before."},
    {"vision_model.encoder.layers.*.norm2.", "vision_tower.encoder.layer.*.layernorm_after."},
    {"vision_model.encoder.layers.*.ls", "vision_tower.encoder.layer.*.lambda_"},
    {"vision_model.encoder.layers.*.mlp.", "vision_tower.encoder.layer.*.mlp."},
    {"mlp1.0.", "multi_modal_projector.layer_norm."},
    {"mlp1.1.", "multi_modal_projector.linear_1."},
    {"mlp1.3.", "multi_modal_projector.linear_2."},
};

constexpr Rename kInternlm2Names[] = {
    {"language_model.model.tok_embeddings.", "language_model.model.embed_tokens."},
    {"language_model.output.", "language_model.lm_head."},
    {"language_model.model.layers.*.attention.wo.", "language_model.model.layers.*.self_attn.o_proj."},
    {"language_model.model.layers.*.attention_norm.", "language_model.model.layers.*.input_layernorm."},
    {"language_model.model.layers.*.ffn_norm.", "language_model.model.layers.*.post_attention_layernorm."},
    {"language_model.model.layers.*.feed_forward.w1.", "language_model.model.layers.*.mlp.gate_proj."},
    {"language_model.model.layers.*.feed_forward.w2.", "language_model.model.layers.*.mlp.down_proj."},
    {"language_model.model.layers.*.feed_forward.w3.", "language_model.model.layers.*.mlp.up_proj."},
};

void append(NameRules& rules, std::span<const Rename> names) {
  rules.renames.insert(rules.renames.end(), names.begin(), names.end());
}

}  // namespace

std::unique_ptr<Model> make_internvl(const ConfigReader& config, const WeightView& weights) {
  InternvlConfig c = parse_internvl_config(config);
  return std::make_unique<UnifiedModel>(std::make_unique<InternvlReader>(weights, c), weights / "language_model",
                                        c.text, c.image_token);
}

NameRules internvl_names(const ConfigReader& reader) {
  InternvlConfig config = parse_internvl_config(reader);
  NameRules rules;
  rules.ignored = {"*rotary_emb.inv_freq", "vision_tower.embeddings.mask_token"};
  if (!config.chat_form) {
    append(rules, kTransformersNames);
    return rules;
  }
  append(rules, kChatNames);
  rules.splits.push_back(
      {"vision_model.encoder.layers.*.attn.qkv.",
       {"vision_tower.encoder.layer.*.attention.q_proj.", "vision_tower.encoder.layer.*.attention.k_proj.",
        "vision_tower.encoder.layer.*.attention.v_proj."}});
  if (!config.internlm2) return rules;
  append(rules, kInternlm2Names);
  // Each group of heads: its queries, their key, their value.
  rules.splits.push_back(
      {"language_model.model.layers.*.attention.wqkv.",
       {"language_model.model.layers.*.self_attn.q_proj.", "language_model.model.layers.*.self_attn.k_proj.",
        "language_model.model.layers.*.self_attn.v_proj."},
       config.text.kv_heads,
       {config.text.heads / config.text.kv_heads, 1, 1}});
  return rules;
}

}  // namespace nuri
