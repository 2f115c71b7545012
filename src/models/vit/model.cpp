#include "models/vit/model.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "models/parts/inputs.h"
#include "models/parts/vision/vision_tower.h"
#include "models/vit/config.h"

namespace nuri {
namespace {

// The class token and the patches, with learned positions.
class VitEmbeddings {
 public:
  VitEmbeddings(const WeightView& weights, const VitConfig& config)
      : side_(config.image_size / config.patch_size),
        patch_(config.patch_size),
        class_token_(weights.get("cls_token", {1, 1, config.encoder.width})),
        mask_token_(config.mask_token && weights.has("mask_token")
                        ? weights.get("mask_token", {1, config.encoder.width})
                        : at::Tensor()),
        positions_(weights.get("position_embeddings", {1, 1 + config.patches(), config.encoder.width})),
        patches_(weights / "patch_embeddings" / "projection",
                 {config.channels, config.patch_size, config.encoder.width, /*bias=*/true}) {}

  at::Tensor operator()(const at::Tensor& pixels) const {  // [B, C, H, W] -> [B, 1 + P, D]
    at::Tensor first = class_token_.expand({pixels.size(0), 1, -1});
    return at::cat({first, patches_(pixels)}, 1) +
           stretched_positions(positions_, side_, pixels.size(2) / patch_, pixels.size(3) / patch_);
  }
  const at::Tensor& like() const { return class_token_; }

 private:
  int64_t side_, patch_;
  at::Tensor class_token_, mask_token_, positions_;  // the mask is for DINOv2's own training alone
  PatchEmbedding patches_;
};

// Attention of all tokens to all, under the names that BERT gave it.
class VitAttention {
 public:
  VitAttention(const WeightView& weights, const VitConfig& config)
      : scale_(1.0 / std::sqrt(static_cast<double>(config.encoder.width / config.encoder.heads))),
        qkv_(weights / "attention",
             {config.encoder.width, config.encoder.heads, config.encoder.heads,
              config.encoder.width / config.encoder.heads, config.qkv_bias},
             0.02, {"query", "key", "value"}),
        output_(weights / "output" / "dense", config.encoder.width, config.encoder.width, true) {}

  at::Tensor operator()(const at::Tensor& x, int64_t batch) const {
    return output_(nn::attend_within(qkv_(x), batch, scale_));
  }

 private:
  double scale_;
  nn::QkvProjection qkv_;
  nn::Linear output_;
};

class VitLayer {
 public:
  virtual ~VitLayer() = default;
  virtual at::Tensor forward(at::Tensor x, int64_t batch) const = 0;  // x [B * T, D]
};

class PlainVitLayer : public VitLayer {
 public:
  PlainVitLayer(const WeightView& weights, const VitConfig& config)
      : norm_before_(weights / "layernorm_before", config.encoder.width, config.encoder.epsilon),
        norm_after_(weights / "layernorm_after", config.encoder.width, config.encoder.epsilon),
        attention_(weights / "attention", config),
        first_(weights / "intermediate" / "dense", config.encoder.width, config.encoder.hidden, true),
        second_(weights / "output" / "dense", config.encoder.hidden, config.encoder.width, true),
        activation_(activation_named(config.encoder.activation, "hidden_act")) {}

  at::Tensor forward(at::Tensor x, int64_t batch) const override {
    x = x + attention_(norm_before_(x), batch);
    return second_.added(first_.activated(norm_after_(x), activation_), x);
  }

 private:
  nn::LayerNorm norm_before_, norm_after_;
  VitAttention attention_;
  nn::Linear first_, second_;
  ops::Activation activation_;
};

// weights_out(silu(a) * b), a and b the halves of weights_in(x).
class PackedGatedMlp {
 public:
  PackedGatedMlp(const WeightView& weights, int64_t width, int64_t hidden)
      : in_(weights / "weights_in", width, 2 * hidden, true), out_(weights / "weights_out", hidden, width, true) {}

  at::Tensor operator()(const at::Tensor& x) const {
    std::vector<at::Tensor> halves = in_(x).chunk(2, -1);
    return out_(ops::activate(halves[0], ops::Activation::silu) * halves[1]);
  }

 private:
  nn::Linear in_, out_;
};

// Each branch is scaled by a learned factor a channel before it is added (Touvron et al. 2021, "LayerScale").
class Dinov2Layer : public VitLayer {
 public:
  Dinov2Layer(const WeightView& weights, const VitConfig& config)
      : attention_norm_(weights / "norm1", config.encoder.width, config.encoder.epsilon),
        mlp_norm_(weights / "norm2", config.encoder.width, config.encoder.epsilon),
        attention_(weights / "attention", config),
        attention_scale_((weights / "layer_scale1").get("lambda1", {config.encoder.width}, Init::constant(1))),
        mlp_scale_((weights / "layer_scale2").get("lambda1", {config.encoder.width}, Init::constant(1))) {
    if (config.gated_mlp) {
      gated_.emplace(weights / "mlp", config.encoder.width, config.encoder.hidden);
    } else {
      plain_.emplace(weights / "mlp", config.encoder);
    }
  }

  at::Tensor forward(at::Tensor x, int64_t batch) const override {
    x = x + attention_scale_ * attention_(attention_norm_(x), batch);
    at::Tensor y = mlp_norm_(x);
    return x + mlp_scale_ * (gated_ ? (*gated_)(y) : (*plain_)(y));
  }

 private:
  nn::LayerNorm attention_norm_, mlp_norm_;
  VitAttention attention_;
  at::Tensor attention_scale_, mlp_scale_;
  std::optional<PackedGatedMlp> gated_;
  std::optional<EncoderMlp> plain_;
};

std::unique_ptr<VitLayer> make_layer(const WeightView& weights, const VitConfig& config) {
  if (config.kind == VitConfig::Kind::vit) return std::make_unique<PlainVitLayer>(weights, config);
  return std::make_unique<Dinov2Layer>(weights, config);
}

// [B, D] -> [B, E]
class Pooler {
 public:
  Pooler(const WeightView& weights, const VitConfig& config)
      : dense_(weights / "dense", config.encoder.width, config.pooled_width, true),
        activation_(activation_named(config.pooler_activation, "pooler_act")) {}
  at::Tensor operator()(const at::Tensor& first) const { return ops::activate(dense_(first), activation_); }

 private:
  nn::Linear dense_;
  ops::Activation activation_;
};

class VitModel : public Model, public Embedder {
 public:
  VitModel(const WeightView& weights, const VitConfig& config)
      : config_(config),
        embeddings_(weights / "embeddings", config),
        norm_(weights / "layernorm", config.encoder.width, config.encoder.epsilon) {
    for (int64_t layer = 0; layer < config.encoder.layers; ++layer)
      layers_.push_back(make_layer(weights / "encoder" / "layer" / layer, config));
    // Checkpoints of other tasks come without it.
    if (config.pooled_width > 0 && (weights / "pooler" / "dense").has("weight"))
      pooler_.emplace(weights / "pooler", config);
    if (config.labels > 0) {
      bool with_mean = config.kind == VitConfig::Kind::dinov2;
      classifier_.emplace(weights / "classifier", (with_mean ? 2 : 1) * config.encoder.width, config.labels, true);
    }
  }

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, {"pixel_values"});
    at::Tensor states = encode(inputs), first = states.select(1, 0);
    if (!classifier_) {
      NamedTensors outputs{{"last_hidden_state", states}};
      if (pooler_) outputs["pooler_output"] = (*pooler_)(first);
      if (config_.kind == VitConfig::Kind::dinov2) outputs["pooler_output"] = first;
      return outputs;
    }
    if (config_.kind == VitConfig::Kind::vit) return {{"logits", (*classifier_)(first)}};
    at::Tensor mean = states.narrow(1, 1, states.size(1) - 1).mean(1);
    return {{"logits", (*classifier_)(at::cat({first, mean}, 1))}};
  }

  NamedTensors picture_inputs(int64_t, int64_t) const override { return one_picture(config_); }
  // The classes' logits [N, C], or else hidden states [N, 1 + P, D].
  at::Tensor encode_pictures(const NamedTensors& pictures) override {
    NamedTensors outputs = forward(pictures);
    return outputs.at(classifier_ ? "logits" : "last_hidden_state");
  }

  std::optional<Similarity> similarity() const override { return {}; }
  at::Tensor embed_texts(const NamedTensors&) override {
    throw Error(ErrorKind::unsupported, "found a text, but this model reads pictures alone");
  }
  // The class token behind the last norm.
  at::Tensor embed_pictures(const NamedTensors& pictures) override {
    at::Tensor first = encode(pictures).select(1, 0);
    return first / first.norm(2, -1, true);
  }

 private:
  at::Tensor encode(const NamedTensors& inputs) const {  // -> [B, 1 + P, D]
    at::Tensor x = embeddings_(pixels(inputs));
    at::Tensor rows = x.reshape({-1, x.size(-1)});
    for (const auto& layer : layers_) rows = layer->forward(rows, x.size(0));
    return norm_(rows).view(x.sizes());
  }

  // DINOv2 takes pictures of any size, ViT of its own.
  at::Tensor pixels(const NamedTensors& inputs) const {
    const bool fixed = config_.kind == VitConfig::Kind::vit;
    return (fixed ? pixel_values : pixels_of_any_size)(inputs, config_, embeddings_.like());
  }

  VitConfig config_;
  VitEmbeddings embeddings_;
  std::vector<std::unique_ptr<VitLayer>> layers_;
  nn::LayerNorm norm_;
  std::optional<Pooler> pooler_;
  std::optional<nn::Linear> classifier_;
};

}  // namespace

std::unique_ptr<Model> make_vit(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<VitModel>(weights, parse_vit_config(config));
}

NameRules vit_names(const ConfigReader& config) {
  NameRules rules{{{"vit.", ""}, {"dinov2.", ""}}, {}};
  if (!parse_vit_config(config).mask_token) rules.ignored.push_back("embeddings.mask_token");
  return rules;
}

}  // namespace nuri
