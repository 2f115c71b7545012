#include "models/llama4/vision.h"

#include <ATen/ATen.h>

#include <cmath>

namespace nuri {
namespace {

// Angles of the patches, row by row, and of the class token behind them: [s * s + 1, d / 2]. The first half of a head's
// pairs turns with the column, counted from 1, the second with the row; the class token does not turn.
at::Tensor patch_angles(const Llama4VisionConfig& config) {
  int64_t side = config.side(), half = config.encoder.width / config.encoder.heads / 2;
  at::Tensor frequencies = 1.0 / at::pow(config.theta, at::arange(0, half, 2, at::kFloat) / half);
  at::Tensor place = at::arange(side * side, at::kLong);
  auto turned = [&](const at::Tensor& count) { return (count + 1).to(at::kFloat).unsqueeze(-1) * frequencies; };
  at::Tensor angles = at::cat({turned(place.remainder(side)), turned(place.floor_divide(side))}, -1);
  return at::cat({angles, at::zeros({1, half}, at::kFloat)});
}

}  // namespace

Llama4VisionLayer::Llama4VisionLayer(const WeightView& weights, const EncoderConfig& config)
    : scale_(1.0 / std::sqrt(static_cast<double>(config.width / config.heads))),
      attention_norm_(weights / "input_layernorm", config.width, config.epsilon),
      mlp_norm_(weights / "post_attention_layernorm", config.width, config.epsilon),
      qkv_(weights / "self_attn", {config.width, config.heads, config.heads, config.width / config.heads, true}),
      output_(weights / "self_attn" / "o_proj", config.width, config.width, true),
      mlp_(weights / "mlp", config) {}

at::Tensor Llama4VisionLayer::forward(at::Tensor x, int64_t batch, const at::Tensor& cosine,
                                      const at::Tensor& sine) const {
  nn::Qkv qkv = qkv_(attention_norm_(x));
  qkv.query = ops::rotate_pairs(qkv.query, cosine, sine);
  qkv.key = ops::rotate_pairs(qkv.key, cosine, sine);
  x = x + output_(nn::attend_within(qkv, batch, scale_));
  return x + mlp_(mlp_norm_(x));
}

Llama4Vision::Llama4Vision(const WeightView& weights, const Llama4VisionConfig& config)
    : config_(config),
      patches_(weights / "patch_embedding" / "linear", config.channels * config.patch_size * config.patch_size,
               config.encoder.width, /*bias=*/false),
      class_embedding_(weights.get("class_embedding", {config.encoder.width})),
      positions_(weights.get("positional_embedding_vlm", {config.patches() + 1, config.encoder.width})),
      norm_before_(weights / "layernorm_pre", config.encoder.width, config.encoder.epsilon),
      norm_after_(weights / "layernorm_post", config.encoder.width, config.encoder.epsilon),
      adapter_in_(weights / "vision_adapter" / "mlp" / "fc1", config.encoder.hidden, config.adapter_width,
                  /*bias=*/false),
      adapter_out_(weights / "vision_adapter" / "mlp" / "fc2", config.output, config.output, /*bias=*/false) {
  for (int64_t layer = 0; layer < config.encoder.layers; ++layer)
    layers_.emplace_back(weights / "model" / "layers" / layer, config.encoder);
}

at::Tensor shuffle_pixels(const at::Tensor& x, int64_t r) {
  int64_t batch = x.size(0), side = std::llround(std::sqrt(static_cast<double>(x.size(1)))), width = x.size(2);
  // [N, row, rows in a square, column, columns in a square, D] -> [N, row, column, rows, columns, D]
  at::Tensor squares = x.reshape({batch, side / r, r, side / r, r, width}).permute({0, 1, 3, 2, 4, 5});
  return squares.reshape({batch, (side / r) * (side / r), r * r * width});
}

at::Tensor Llama4Vision::operator()(const at::Tensor& pixels) const {
  at::Tensor patches = patches_(cut_patches(pixels, config_.patch_size));  // [N, P, D]
  at::Tensor last = class_embedding_.expand({pixels.size(0), 1, -1});
  at::Tensor x = norm_before_(at::cat({patches, last}, 1) + positions_);  // [N, P + 1, D]
  at::Tensor angles = patch_angles(config_).to(x.device()).repeat({x.size(0), 1}), cosine = angles.cos(),
             sine = angles.sin();
  at::Tensor rows = x.reshape({-1, x.size(2)});
  for (const auto& layer : layers_) rows = layer.forward(rows, x.size(0), cosine, sine);
  x = norm_after_(rows).view(x.sizes()).narrow(1, 0, config_.patches());
  at::Tensor tokens = shuffle_pixels(x, config_.shuffle);  // [N, P / r^2, D r^2]
  at::Tensor inner = adapter_in_.activated(tokens, ops::Activation::gelu);
  return adapter_out_.activated(inner, ops::Activation::gelu);
}

}  // namespace nuri
