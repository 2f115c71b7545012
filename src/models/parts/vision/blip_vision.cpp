#include "models/parts/vision/blip_vision.h"

#include <ATen/ATen.h>

#include <cmath>

#include "models/parts/inputs.h"

namespace nuri {

BlipVisionLayer::BlipVisionLayer(const WeightView& weights, const BlipVisionConfig& config)
    : heads_(config.encoder.heads),
      head_dim_(config.encoder.width / config.encoder.heads),
      attention_norm_(weights / "layer_norm1", config.encoder.width, config.encoder.epsilon),
      mlp_norm_(weights / "layer_norm2", config.encoder.width, config.encoder.epsilon),
      qkv_(weights / "self_attn" / "qkv", config.encoder.width, 3 * config.encoder.width, config.qkv_bias),
      output_(weights / "self_attn" / "projection", config.encoder.width, config.encoder.width, true),
      mlp_(weights / "mlp", config.encoder) {}

nn::Qkv BlipVisionLayer::project(const at::Tensor& x) const {
  auto parts = qkv_(x).view({x.size(0), 3, heads_, head_dim_}).unbind(1);
  return {parts[0], parts[1], parts[2]};
}

at::Tensor BlipVisionLayer::forward(at::Tensor x, int64_t batch) const {
  double scale = 1.0 / std::sqrt(static_cast<double>(head_dim_));
  x = x + output_(nn::attend_within(project(attention_norm_(x)), batch, scale));
  return x + mlp_(mlp_norm_(x));
}

BlipVision::BlipVision(const WeightView& weights, const BlipVisionConfig& config)
    : config_(config),
      class_embedding_((weights / "embeddings").get("class_embedding", {1, 1, config.encoder.width})),
      positions_((weights / "embeddings").get("position_embedding", {1, 1 + config.patches(), config.encoder.width})),
      patches_(weights / "embeddings" / "patch_embedding",
               {config.channels, config.patch_size, config.encoder.width, /*bias=*/true}),
      norm_(weights / "post_layernorm", config.encoder.width, config.encoder.epsilon) {
  for (int64_t layer = 0; layer < config.encoder.layers; ++layer)
    layers_.emplace_back(weights / "encoder" / "layers" / layer, config);
}

VisionOutput BlipVision::encode(const at::Tensor& pixels) const {
  int64_t batch = pixels.size(0), patch = config_.patch_size;
  at::Tensor first = class_embedding_.expand({batch, 1, -1});
  at::Tensor x = at::cat({first, patches_(pixels)}, 1);  // [B, 1 + P, D]
  x = x + stretched_positions(positions_, config_.image_size / patch, pixels.size(2) / patch, pixels.size(3) / patch);
  at::Tensor rows = x.reshape({-1, x.size(2)});
  for (const auto& layer : layers_) rows = layer.forward(rows, batch);
  at::Tensor last = norm_(rows).view(x.sizes());
  return {last, norm_(last.select(1, 0))};  // the class token passes the norm twice
}

at::Tensor BlipVision::pixels(const NamedTensors& inputs) const {
  const bool stretched = flag_input(inputs, "interpolate_pos_encoding");
  return (stretched ? pixels_of_any_size : pixel_values)(inputs, config_, class_embedding_);
}

}  // namespace nuri
