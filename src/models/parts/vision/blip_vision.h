#pragma once

#include "models/parts/vision/vision_tower.h"

namespace nuri {

// One pre-norm layer whose query, key and value are one product.
class BlipVisionLayer {
 public:
  BlipVisionLayer(const WeightView& weights, const BlipVisionConfig& config);
  at::Tensor forward(at::Tensor x, int64_t batch) const;  // x [B * T, D]

 private:
  nn::Qkv project(const at::Tensor& x) const;

  int64_t heads_, head_dim_;
  nn::LayerNorm attention_norm_, mlp_norm_;
  nn::Linear qkv_, output_;
  EncoderMlp mlp_;
};

// The picture encoder of BLIP-2 and InstructBLIP: a ViT with a class token, learned positions and a closing norm.
class BlipVision {
 public:
  BlipVision(const WeightView& weights, const BlipVisionConfig& config);

  // pixels [B, 3, H, W] of any size -> [B, 1 + patches, D]; positions are stretched where the size is not the model's.
  VisionOutput encode(const at::Tensor& pixels) const;
  // `pixel_values` of the inputs, checked: of the model's size, unless `interpolate_pos_encoding` (one value) is true.
  at::Tensor pixels(const NamedTensors& inputs) const;
  const BlipVisionConfig& config() const { return config_; }

 private:
  BlipVisionConfig config_;
  at::Tensor class_embedding_, positions_;
  PatchEmbedding patches_;
  std::vector<BlipVisionLayer> layers_;
  nn::LayerNorm norm_;
};

}  // namespace nuri
