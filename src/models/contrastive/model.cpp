#include "models/contrastive/model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "models/parts/inputs.h"
#include "models/parts/text/text_tower.h"
#include "models/parts/vision/picture_tower.h"

namespace nuri {
namespace {

using MakeTower = std::unique_ptr<PictureTower> (*)(const WeightView& weights, const VisionConfig& config);

at::Tensor unit(const at::Tensor& x) { return x / x.norm(2, -1, true); }

class ContrastiveModel : public Model, public Embedder {
 public:
  ContrastiveModel(const WeightView& weights, const ContrastiveConfig& config, MakeTower make_tower)
      : text_(weights / "text_model", config.text),
        vision_(make_tower(weights / "vision_model", config.vision)),
        scale_(weights.get("logit_scale", scalar_shape(config), Init::constant(config.start_scale))) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    std::vector<std::string> known{"input_ids", "attention_mask"};
    known.insert(known.end(), vision_->inputs().begin(), vision_->inputs().end());
    refuse_unknown_inputs(inputs, known);
    at::Tensor texts = unit_texts(inputs);
    VisionOutput seen = vision_->encode(inputs);
    at::Tensor pictures = unit(picture_vectors(seen));
    at::Tensor logits = shifted(at::matmul(texts, pictures.t()) * scale_.exp());
    return {{"logits_per_text", logits},
            {"logits_per_image", logits.t().contiguous()},
            {"text_embeds", texts},
            {"image_embeds", pictures},
            {"vision_model_output.last_hidden_state", seen.last}};
  }

  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    return vision_->picture_inputs(width, height);
  }
  at::Tensor encode_pictures(const NamedTensors& pictures) override {
    return picture_vectors(vision_->encode(pictures));
  }

  at::Tensor embed_texts(const NamedTensors& texts) override {
    refuse_unknown_inputs(texts, {"input_ids", "attention_mask"});
    return unit_texts(texts);
  }
  at::Tensor embed_pictures(const NamedTensors& pictures) override { return unit(encode_pictures(pictures)); }

 protected:
  virtual at::Tensor text_vectors(const at::Tensor& ids, const at::Tensor& mask) const = 0;  // [B, D]
  virtual at::Tensor picture_vectors(const VisionOutput& seen) const = 0;                    // [B, D]
  double scale() const { return scale_.exp().item<double>(); }
  virtual at::Tensor shifted(const at::Tensor& logits) const { return logits; }

  TextTower text_;
  std::unique_ptr<PictureTower> vision_;

 private:
  at::Tensor unit_texts(const NamedTensors& inputs) const {
    at::Tensor ids = whole_input(inputs, "input_ids", 2).to(scale_.device());
    at::Tensor mask = inputs.contains("attention_mask") ? required_input(inputs, "attention_mask", 2) : at::Tensor();
    return unit(text_vectors(ids, mask));
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
      : ContrastiveModel(weights, config, make_square_tower),
        end_by_largest_id_(config.text.end_of_text == 2 && config.old_end_of_text),
        picture_projection_(weights / "visual_projection", config.vision.encoder.width, config.vision.projection,
                            false),
        text_projection_(weights / "text_projection", config.text.encoder.width, config.vision.projection, false) {}

  std::optional<Similarity> similarity() const override { return Similarity{/*sigmoid=*/false, scale(), 0}; }

 private:
  at::Tensor text_vectors(const at::Tensor& ids, const at::Tensor& mask) const override {
    at::Tensor states = text_(ids, mask, /*causal=*/true);
    at::Tensor is_end = end_by_largest_id_ ? ids : (ids == text_.config().end_of_text).to(at::kInt);
    at::Tensor at_end = is_end.argmax(-1);
    at::Tensor rows = at::arange(ids.size(0), at::kLong);
    return text_projection_(states.index({rows, at_end}));
  }
  at::Tensor picture_vectors(const VisionOutput& seen) const override { return picture_projection_(seen.pooled); }

  // Old configurations of CLIP give 2 for the end of text, which is not the token's id: the largest id is meant.
  bool end_by_largest_id_;
  nn::Linear picture_projection_, text_projection_;
};

class SiglipModel : public ContrastiveModel {
 public:
  SiglipModel(const WeightView& weights, const ContrastiveConfig& config, MakeTower make_tower)
      : ContrastiveModel(weights, config, make_tower),
        head_(weights / "text_model" / "head", config.text.encoder.width, config.text.projection, true),
        // Most pairs of a batch do not belong together: start there (Zhai et al. 2023).
        bias_(weights.get("logit_bias", {1}, Init::constant(-10))) {}

  std::optional<Similarity> similarity() const override {
    return Similarity{/*sigmoid=*/true, scale(), bias_.item<double>()};
  }

 private:
  at::Tensor text_vectors(const at::Tensor& ids, const at::Tensor& mask) const override {
    return head_(text_(ids, mask, /*causal=*/false).select(1, ids.size(1) - 1));
  }
  at::Tensor picture_vectors(const VisionOutput& seen) const override { return seen.pooled; }
  at::Tensor shifted(const at::Tensor& logits) const override { return logits + bias_; }

  nn::Linear head_;
  at::Tensor bias_;
};

ContrastiveConfig parse_clip(const ConfigReader& config) {
  ContrastiveConfig c{parse_clip_vision_config(config.child_or_empty("vision_config")),
                      parse_clip_text_config(config.child_or_empty("text_config")),
                      config.optional("logit_scale_init_value", 2.6592)};
  c.vision.projection = config.optional<int64_t>("projection_dim", 512);
  return c;
}

ContrastiveConfig with_siglip_text(const ConfigReader& config, const VisionConfig& vision) {
  ContrastiveConfig c{vision, parse_siglip_text_config(config.child_or_empty("text_config")), std::log(10.0)};
  if (!c.vision.pooling_head) config.child("vision_config").reject("vision_use_head", "true beside a text model");
  if (c.text.projection != c.vision.encoder.width)
    config.child("text_config").reject("projection_size", fmt::format("the vision width {}", c.vision.encoder.width));
  return c;
}

}  // namespace

std::unique_ptr<Model> make_clip(const ConfigReader& config, const WeightView& weights) {
  ContrastiveConfig c = parse_clip(config);
  c.old_end_of_text = true;
  return std::make_unique<ClipModel>(weights, c);
}

std::unique_ptr<Model> make_metaclip2(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<ClipModel>(weights, parse_clip(config));
}

std::unique_ptr<Model> make_siglip(const ConfigReader& config, const WeightView& weights) {
  auto vision = parse_siglip_vision_config(config.child_or_empty("vision_config"));
  return std::make_unique<SiglipModel>(weights, with_siglip_text(config, vision), make_square_tower);
}

std::unique_ptr<Model> make_siglip2(const ConfigReader& config, const WeightView& weights) {
  auto vision = parse_siglip2_vision_config(config.child_or_empty("vision_config"));
  return std::make_unique<SiglipModel>(weights, with_siglip_text(config, vision), make_naflex_tower);
}

NameRules contrastive_names(const ConfigReader&) { return {{}, {"*embeddings.position_ids"}}; }

}  // namespace nuri
