#include "models/contrastive/model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "models/parts/inputs.h"
#include "models/parts/vision_tower.h"

namespace nuri {
namespace {

// Token and position embeddings, the stack, a closing norm: what both text towers share.
class TextTower {
 public:
  TextTower(const WeightView& weights, const TextTowerConfig& config)
      : config_(config),
        tokens_(weights / "embeddings" / "token_embedding", config.vocabulary, config.encoder.width),
        positions_(weights / "embeddings" / "position_embedding", config.context, config.encoder.width),
        encoder_(weights / "encoder", config.encoder),
        norm_(weights / "final_layer_norm", config.encoder.width, config.encoder.epsilon) {}

  // ids [B, T], mask [B, T] or undefined -> [B, T, D]
  at::Tensor operator()(const at::Tensor& ids, const at::Tensor& mask, bool causal) const {
    int64_t length = ids.size(1);
    if (length > config_.context)
      throw Error(ErrorKind::usage,
                  fmt::format("input_ids: found {} tokens, expected at most {}", length, config_.context));
    check_ids(ids, config_.vocabulary);
    at::Tensor x = tokens_(ids) + positions_.weight().narrow(0, 0, length);
    at::Tensor allowed;
    if (mask.defined()) {
      check_shape(mask, {ids.size(0), length}, "attention_mask");
      allowed = mask.to(at::kBool).view({ids.size(0), 1, 1, length}).expand({-1, 1, length, -1});
      if (causal) allowed = allowed & at::ones({length, length}, at::kBool).tril();
    }
    return norm_(encoder_.forward(x, encoder_.depth(), causal, allowed));
  }

  const TextTowerConfig& config() const { return config_; }
  const at::Tensor& embedding() const { return tokens_.weight(); }

 private:
  TextTowerConfig config_;
  nn::Embedding tokens_, positions_;
  EncoderStack encoder_;
  nn::LayerNorm norm_;
};

at::Tensor unit(const at::Tensor& x) { return x / x.norm(2, -1, true); }

class ContrastiveModel : public Model, public MediaEncoder {
 public:
  ContrastiveModel(const WeightView& weights, const ContrastiveConfig& config)
      : text_(weights / "text_model", config.text),
        vision_(make_vision_tower(weights / "vision_model", config.vision)),
        scale_(weights.get("logit_scale", scalar_shape(config), Init::constant(config.start_scale))) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, {"input_ids", "pixel_values", "attention_mask"});
    at::Tensor ids = whole_input(inputs, "input_ids", 2);
    at::Tensor mask = inputs.contains("attention_mask") ? required_input(inputs, "attention_mask", 2) : at::Tensor();
    at::Tensor texts = unit(embed_texts(ids, mask));
    VisionOutput seen = encode(inputs);
    at::Tensor pictures = unit(embed_pictures(seen));
    at::Tensor logits = shifted(at::matmul(texts, pictures.t()) * scale_.exp());
    return {{"logits_per_text", logits},
            {"logits_per_image", logits.t().contiguous()},
            {"text_embeds", texts},
            {"image_embeds", pictures},
            {"vision_model_output.last_hidden_state", seen.last}};
  }

  std::vector<int64_t> picture_shape() const override { return vision_->config().picture_shape(); }
  at::Tensor encode_pictures(const at::Tensor& pixels) override {
    return embed_pictures(encode({{"pixel_values", pixels}}));
  }

 protected:
  virtual at::Tensor embed_texts(const at::Tensor& ids, const at::Tensor& mask) const = 0;  // [B, D]
  virtual at::Tensor embed_pictures(const VisionOutput& seen) const = 0;                    // [B, D]
  virtual at::Tensor shifted(const at::Tensor& logits) const { return logits; }

  TextTower text_;
  std::unique_ptr<VisionTower> vision_;

 private:
  VisionOutput encode(const NamedTensors& inputs) const {
    return vision_->encode(pixel_values(inputs, vision_->config(), text_.embedding()));
  }
  // The reference keeps CLIP's scale as a scalar and SigLIP's as a vector of one.
  static std::vector<int64_t> scalar_shape(const ContrastiveConfig& config) {
    return config.vision.kind == VisionConfig::Kind::clip ? std::vector<int64_t>{} : std::vector<int64_t>{1};
  }
  at::Tensor scale_;
};

class ClipModel : public ContrastiveModel {
 public:
  ClipModel(const WeightView& weights, const ContrastiveConfig& config)
      : ContrastiveModel(weights, config),
        picture_projection_(weights / "visual_projection", config.vision.encoder.width, config.vision.projection,
                            false),
        text_projection_(weights / "text_projection", config.text.encoder.width, config.vision.projection, false) {}

 private:
  at::Tensor embed_texts(const at::Tensor& ids, const at::Tensor& mask) const override {
    at::Tensor states = text_(ids, mask, /*causal=*/true);
    // Old configurations give 2 for the end of text, which is not the token's id; there the largest id is meant.
    int64_t end = text_.config().end_of_text;
    at::Tensor at_end = end == 2 ? ids.argmax(-1) : (ids == end).to(at::kInt).argmax(-1);
    at::Tensor rows = at::arange(ids.size(0), at::kLong);
    return text_projection_(states.index({rows, at_end}));
  }
  at::Tensor embed_pictures(const VisionOutput& seen) const override { return picture_projection_(seen.pooled); }

  nn::Linear picture_projection_, text_projection_;
};

class SiglipModel : public ContrastiveModel {
 public:
  SiglipModel(const WeightView& weights, const ContrastiveConfig& config)
      : ContrastiveModel(weights, config),
        head_(weights / "text_model" / "head", config.text.encoder.width, config.text.projection, true),
        // Most pairs of a batch do not belong together: start there (Zhai et al. 2023).
        bias_(weights.get("logit_bias", {1}, Init::constant(-10))) {}

 private:
  at::Tensor embed_texts(const at::Tensor& ids, const at::Tensor& mask) const override {
    return head_(text_(ids, mask, /*causal=*/false).select(1, ids.size(1) - 1));
  }
  at::Tensor embed_pictures(const VisionOutput& seen) const override { return seen.pooled; }
  at::Tensor shifted(const at::Tensor& logits) const override { return logits + bias_; }

  nn::Linear head_;
  at::Tensor bias_;
};

}  // namespace

std::unique_ptr<Model> make_clip(const ConfigReader& config, const WeightView& weights) {
  ContrastiveConfig c{parse_clip_vision_config(config.child_or_empty("vision_config")),
                      parse_clip_text_config(config.child_or_empty("text_config")),
                      config.optional("logit_scale_init_value", 2.6592)};
  c.vision.projection = config.optional<int64_t>("projection_dim", 512);
  return std::make_unique<ClipModel>(weights, c);
}

std::unique_ptr<Model> make_siglip(const ConfigReader& config, const WeightView& weights) {
  ContrastiveConfig c{parse_siglip_vision_config(config.child_or_empty("vision_config")),
                      parse_siglip_text_config(config.child_or_empty("text_config")), std::log(10.0)};
  if (!c.vision.pooling_head) config.child("vision_config").reject("vision_use_head", "true in a SiglipModel");
  if (c.text.projection != c.vision.encoder.width)
    config.child("text_config").reject("projection_size", fmt::format("the vision width {}", c.vision.encoder.width));
  return std::make_unique<SiglipModel>(weights, c);
}

NameRules contrastive_names(const ConfigReader&) { return {{}, {"*embeddings.position_ids"}}; }

}  // namespace nuri
