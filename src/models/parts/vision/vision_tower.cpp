#include "models/parts/vision/vision_tower.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
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
  x = output_.added(nn::attend_within(qkv_(attention_norm_(x)), batch, scale_, causal, mask), x);
  return mlp_.added(mlp_norm_(x), x);
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

PatchEmbedding::PatchEmbedding(const WeightView& weights, const Shape& shape)
    : shape_(shape), weight_(weights.get("weight", {shape.width, shape.channels, shape.patch, shape.patch})) {
  if (shape.bias) bias_ = weights.get("bias", {shape.width}, Init::constant(0));
}

at::Tensor cut_patches(const at::Tensor& pixels, int64_t patch) {
  int64_t batch = pixels.size(0), channels = pixels.size(1);
  int64_t rows = pixels.size(2) / patch, columns = pixels.size(3) / patch;
  at::Tensor cut = pixels.narrow(2, 0, rows * patch).narrow(3, 0, columns * patch);
  // [B, C, rows, p, columns, p] -> [B, rows, columns, C, p, p]
  at::Tensor patches = cut.reshape({batch, channels, rows, patch, columns, patch}).permute({0, 2, 4, 1, 3, 5});
  return patches.reshape({batch, rows * columns, channels * patch * patch});
}

at::Tensor PatchEmbedding::operator()(const at::Tensor& pixels) const {
  return ops::linear(cut_patches(pixels, shape_.patch), weight_.view({shape_.width, -1}), bias_);
}

PoolingHead::PoolingHead(const WeightView& weights, const EncoderConfig& config)
    : heads_(config.heads),
      width_(config.width),
      probe_(weights.get("probe", {1, 1, config.width})),
      in_weight_((weights / "attention").get("in_proj_weight", {3 * config.width, config.width})),
      in_bias_((weights / "attention").get("in_proj_bias", {3 * config.width}, Init::constant(0))),
      output_(weights / "attention" / "out_proj", config.width, config.width, true),
      norm_(weights / "layernorm", config.width, config.epsilon),
      mlp_(weights / "mlp", config) {}

at::Tensor PoolingHead::operator()(const at::Tensor& states, const at::Tensor& mask) const {
  int64_t batch = states.size(0), head_dim = width_ / heads_;
  auto project = [&](const at::Tensor& x, int64_t part) {  // -> [B, H, T, D / H]
    at::Tensor y =
        ops::linear(x, in_weight_.narrow(0, part * width_, width_), in_bias_.narrow(0, part * width_, width_));
    return y.view({x.size(0), x.size(1), heads_, head_dim}).transpose(1, 2);
  };
  at::Tensor query = project(probe_.expand({batch, 1, width_}), 0);
  at::Tensor x = ops::attention(query, project(states, 1), project(states, 2), mask, false,
                                1.0 / std::sqrt(static_cast<double>(head_dim)));
  x = output_(x.transpose(1, 2).reshape({batch, width_}));
  return x + mlp_(norm_(x));
}

at::Tensor stretched_positions(const at::Tensor& positions, int64_t side, int64_t rows, int64_t columns) {
  if (rows == side && columns == side) return positions;
  at::Tensor grid = positions.narrow(1, 1, side * side).view({1, side, side, -1}).permute({0, 3, 1, 2});
  at::Tensor stretched = at::upsample_bicubic2d(grid.to(at::kFloat), {rows, columns}, /*align_corners=*/false);
  stretched = stretched.to(positions.scalar_type()).permute({0, 2, 3, 1}).reshape({1, rows * columns, -1});
  return at::cat({positions.narrow(1, 0, 1), stretched}, 1);
}

namespace {

class ClipVision : public VisionTower {
 public:
  ClipVision(const WeightView& weights, const VisionConfig& config)
      : config_(config),
        class_embedding_((weights / "embeddings").get("class_embedding", {config.encoder.width})),
        patches_(weights / "embeddings" / "patch_embedding",
                 {config.channels, config.patch_size, config.encoder.width, /*bias=*/false}),
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
  nn::Table positions_;
  nn::LayerNorm norm_before_;
  EncoderStack encoder_;
  nn::LayerNorm norm_after_;
};

class SiglipVision : public VisionTower {
 public:
  SiglipVision(const WeightView& weights, const VisionConfig& config)
      : config_(config),
        patches_(weights / "embeddings" / "patch_embedding",
                 {config.channels, config.patch_size, config.encoder.width, /*bias=*/true}),
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
  nn::Table positions_;
  EncoderStack encoder_;
  nn::LayerNorm norm_after_;
  std::optional<PoolingHead> head_;
};

}  // namespace

std::unique_ptr<VisionTower> make_vision_tower(const WeightView& weights, const VisionConfig& config) {
  if (config.kind == VisionConfig::Kind::clip) return std::make_unique<ClipVision>(weights, config);
  return std::make_unique<SiglipVision>(weights, config);
}

at::Tensor chosen_features(const VisionTower& tower, const FeatureChoice& choice, const at::Tensor& pixels) {
  auto states = tower.hidden_states(pixels, *std::max_element(choice.layers.begin(), choice.layers.end()));
  std::vector<at::Tensor> chosen;
  for (int64_t layer : choice.layers)
    chosen.push_back(choice.drop_first ? states[layer].narrow(1, 1, states[layer].size(1) - 1) : states[layer]);
  return chosen.size() == 1 ? chosen[0] : at::cat(chosen, -1);
}

NamedTensors one_picture(const PictureSizes& sizes) {
  return {{"pixel_values", at::zeros({1, sizes.channels, sizes.image_size, sizes.image_size})}};
}

at::Tensor pixel_values(const NamedTensors& inputs, const PictureSizes& sizes, const at::Tensor& like) {
  at::Tensor pixels = required_input(inputs, "pixel_values", 4);
  if (pixels.size(1) != sizes.channels || pixels.size(2) != sizes.image_size || pixels.size(3) != sizes.image_size)
    throw Error(ErrorKind::usage,
                fmt::format("pixel_values: found shape [{}], expected [pictures, {}, {}, {}]",
                            fmt::join(pixels.sizes(), ", "), sizes.channels, sizes.image_size, sizes.image_size));
  if (!at::isFloatingType(pixels.scalar_type()))
    throw Error(ErrorKind::usage, fmt::format("pixel_values: found type {}, expected floating-point numbers",
                                              at::toString(pixels.scalar_type())));
  if (pixels.size(0) == 0) throw Error(ErrorKind::usage, "pixel_values: found no picture, expected at least one");
  return pixels.to(like.device(), like.scalar_type());
}

at::Tensor pixels_of_any_size(const NamedTensors& inputs, const PictureSizes& sizes, const at::Tensor& like) {
  const at::Tensor& found = required_input(inputs, "pixel_values", 4);
  if (found.size(0) < 1 || found.size(1) != sizes.channels || found.size(2) < sizes.patch_size ||
      found.size(3) < sizes.patch_size || !at::isFloatingType(found.scalar_type()))
    throw Error(ErrorKind::usage,
                fmt::format("pixel_values: found {} of shape [{}], expected floating-point numbers [pictures, {}, "
                            "height, width] of at least one patch of {}",
                            at::toString(found.scalar_type()), fmt::join(found.sizes(), ", "), sizes.channels,
                            sizes.patch_size));
  return found.to(like.device(), like.scalar_type());
}

}  // namespace nuri
