#include "models/parts/vision_tower.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "base/error.h"
#include "models/parts/inputs.h"

namespace nuri {

EncoderMlp::EncoderMlp(const WeightView& weights, const EncoderConfig& config)
    : first_(weights / "fc1", config.width, config.hidden, true),
      second_(weights / "fc2", config.hidden, config.width, true),
      activation_(activation_named(config.activation, "hidden_act")) {}

EncoderLayer::EncoderLayer(const WeightView& weights, const EncoderConfig& config)
    : scale_(1.0 / std::sqrt(static_cast<double>(config.width / config.heads))),
      attention_norm_(weights / "layer_norm1", config.width, config.epsilon),
      mlp_norm_(weights / "layer_norm2", config.width, config.epsilon),
      qkv_(weights / "self_attn", {config.width, config.heads, config.heads, config.width / config.heads, true}),
      output_(weights / "self_attn" / "out_proj", config.width, config.width, true),
      mlp_(weights / "mlp", config) {}

at::Tensor EncoderLayer::forward(at::Tensor x, int64_t batch, bool causal, const at::Tensor& mask) const {
  x = x + output_(nn::attend_within(qkv_(attention_norm_(x)), batch, scale_, causal, mask));
  return x + mlp_(mlp_norm_(x));
}

EncoderStack::EncoderStack(const WeightView& weights, const EncoderConfig& config) {
  for (int64_t layer = 0; layer < config.layers; ++layer) layers_.emplace_back(weights / "layers" / layer, config);
}

at::Tensor EncoderStack::forward(const at::Tensor& x, int64_t layers, bool causal, const at::Tensor& mask) const {
  at::Tensor rows = x.reshape({-1, x.size(-1)});
  for (int64_t layer = 0; layer < layers; ++layer) rows = layers_[layer].forward(rows, x.size(0), causal, mask);
  return rows.view(x.sizes());
}

std::vector<at::Tensor> EncoderStack::states(const at::Tensor& x, int64_t layers) const {
  std::vector<at::Tensor> states{x};
  at::Tensor rows = x.reshape({-1, x.size(-1)});
  for (int64_t layer = 0; layer < layers; ++layer) {
    rows = layers_[layer].forward(rows, x.size(0), false, {});
    states.push_back(rows.view(x.sizes()));
  }
  return states;
}

PatchEmbedding::PatchEmbedding(const WeightView& weights, const VisionConfig& config, bool bias)
    : patch_(config.patch_size), side_(config.image_size / config.patch_size), width_(config.encoder.width) {
  weight_ = weights.get("weight", {width_, config.channels, patch_, patch_});
  if (bias) bias_ = weights.get("bias", {width_}, Init::constant(0));
}

at::Tensor PatchEmbedding::operator()(const at::Tensor& pixels) const {
  int64_t batch = pixels.size(0), channels = pixels.size(1), used = side_ * patch_;
  at::Tensor cut = pixels.narrow(2, 0, used).narrow(3, 0, used);
  // [B, C, rows, p, columns, p] -> [B, rows, columns, C, p, p]
  at::Tensor patches = cut.reshape({batch, channels, side_, patch_, side_, patch_}).permute({0, 2, 4, 1, 3, 5});
  patches = patches.reshape({batch, side_ * side_, channels * patch_ * patch_});
  return ops::linear(patches, weight_.view({width_, -1}), bias_);
}

namespace {

class ClipVision : public VisionTower {
 public:
  ClipVision(const WeightView& weights, const VisionConfig& config)
      : config_(config),
        class_embedding_((weights / "embeddings").get("class_embedding", {config.encoder.width})),
        patches_(weights / "embeddings" / "patch_embedding", config, false),
        positions_(weights / "embeddings" / "position_embedding", config.tokens(), config.encoder.width),
        // The name's spelling is the original checkpoint's.
        norm_before_(weights / "pre_layrnorm", config.encoder.width, config.encoder.epsilon),
        encoder_(weights / "encoder", config.encoder),
        norm_after_(weights / "post_layernorm", config.encoder.width, config.encoder.epsilon) {}

  const VisionConfig& config() const override { return config_; }

  VisionOutput encode(const at::Tensor& pixels) const override {
    at::Tensor last = encoder_.forward(embed(pixels), encoder_.depth());
    return {last, norm_after_(last.select(1, 0))};
  }

  std::vector<at::Tensor> hidden_states(const at::Tensor& pixels, int64_t deepest) const override {
    return encoder_.states(embed(pixels), deepest);
  }

 private:
  at::Tensor embed(const at::Tensor& pixels) const {  // [B, 1 + P, D]
    at::Tensor first = class_embedding_.expand({pixels.size(0), 1, -1});
    return norm_before_(at::cat({first, patches_(pixels)}, 1) + positions_.weight());
  }

  VisionConfig config_;
  at::Tensor class_embedding_;
  PatchEmbedding patches_;
  nn::Embedding positions_;
  nn::LayerNorm norm_before_;
  EncoderStack encoder_;
  nn::LayerNorm norm_after_;
};

// One learned query attends to all patches; its answer is the picture's vector (Zhai et al. 2022, "MAP head").
class PoolingHead {
 public:
  PoolingHead(const WeightView& weights, const EncoderConfig& config)
      : heads_(config.heads),
        width_(config.width),
        probe_(weights.get("probe", {1, 1, config.width})),
        in_weight_((weights / "attention").get("in_proj_weight", {3 * config.width, config.width})),
        in_bias_((weights / "attention").get("in_proj_bias", {3 * config.width}, Init::constant(0))),
        output_(weights / "attention" / "out_proj", config.width, config.width, true),
        norm_(weights / "layernorm", config.width, config.epsilon),
        mlp_(weights / "mlp", config) {}

  at::Tensor operator()(const at::Tensor& states) const {  // [B, T, D] -> [B, D]
    int64_t batch = states.size(0), head_dim = width_ / heads_;
    auto project = [&](const at::Tensor& x, int64_t part) {  // -> [B, H, T, D / H]
      at::Tensor y =
          ops::linear(x, in_weight_.narrow(0, part * width_, width_), in_bias_.narrow(0, part * width_, width_));
      return y.view({x.size(0), x.size(1), heads_, head_dim}).transpose(1, 2);
    };
    at::Tensor query = project(probe_.expand({batch, 1, width_}), 0);
    at::Tensor x = ops::attention(query, project(states, 1), project(states, 2), {}, false,
                                  1.0 / std::sqrt(static_cast<double>(head_dim)));
    x = output_(x.transpose(1, 2).reshape({batch, width_}));
    return x + mlp_(norm_(x));
  }

 private:
  int64_t heads_, width_;
  at::Tensor probe_, in_weight_, in_bias_;
  nn::Linear output_;
  nn::LayerNorm norm_;
  EncoderMlp mlp_;
};

class SiglipVision : public VisionTower {
 public:
  SiglipVision(const WeightView& weights, const VisionConfig& config)
      : config_(config),
        patches_(weights / "embeddings" / "patch_embedding", config, true),
        positions_(weights / "embeddings" / "position_embedding", config.tokens(), config.encoder.width),
        encoder_(weights / "encoder", config.encoder),
        norm_after_(weights / "post_layernorm", config.encoder.width, config.encoder.epsilon) {
    if (config.pooling_head) head_.emplace(weights / "head", config.encoder);
  }

  const VisionConfig& config() const override { return config_; }

  VisionOutput encode(const at::Tensor& pixels) const override {
    at::Tensor last = norm_after_(encoder_.forward(embed(pixels), encoder_.depth()));
    return {last, head_ ? (*head_)(last) : at::Tensor()};
  }

  std::vector<at::Tensor> hidden_states(const at::Tensor& pixels, int64_t deepest) const override {
    return encoder_.states(embed(pixels), deepest);
  }

 private:
  at::Tensor embed(const at::Tensor& pixels) const { return patches_(pixels) + positions_.weight(); }

  VisionConfig config_;
  PatchEmbedding patches_;
  nn::Embedding positions_;
  EncoderStack encoder_;
  nn::LayerNorm norm_after_;
  std::optional<PoolingHead> head_;
};

}  // namespace

std::unique_ptr<VisionTower> make_vision_tower(const WeightView& weights, const VisionConfig& config) {
  if (config.kind == VisionConfig::Kind::clip) return std::make_unique<ClipVision>(weights, config);
  return std::make_unique<SiglipVision>(weights, config);
}

at::Tensor pixel_values(const NamedTensors& inputs, const VisionConfig& config, const at::Tensor& like) {
  at::Tensor pixels = required_input(inputs, "pixel_values", 4);
  if (pixels.size(1) != config.channels || pixels.size(2) != config.image_size || pixels.size(3) != config.image_size)
    throw Error(ErrorKind::usage,
                fmt::format("pixel_values: found shape [{}], expected [pictures, {}, {}, {}]",
                            fmt::join(pixels.sizes(), ", "), config.channels, config.image_size, config.image_size));
  if (!at::isFloatingType(pixels.scalar_type()))
    throw Error(ErrorKind::usage, fmt::format("pixel_values: found type {}, expected floating-point numbers",
                                              at::toString(pixels.scalar_type())));
  if (pixels.size(0) == 0) throw Error(ErrorKind::usage, "pixel_values: found no picture, expected at least one");
  return pixels.to(like.device(), like.scalar_type());
}

}  // namespace nuri
