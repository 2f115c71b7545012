#pragma once

#include <optional>
#include <variant>

#include "models/internvl/config.h"
#include "models/parts/vision/vision_tower.h"

namespace nuri {

// A layer norm or an RMS norm, as the configuration says.
class InternVitNorm {
 public:
  InternVitNorm(const WeightView& weights, const InternVitConfig& config);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  std::variant<nn::LayerNorm, nn::RmsNorm> norm_;
};

// An RMS norm of queries or keys over all heads together, or over those that are no dummies, by the scale of which the
// dummies are multiplied too.
class HeadsNorm {
 public:
  HeadsNorm(const WeightView& weights, const InternVitConfig& config);
  at::Tensor operator()(const at::Tensor& x) const;  // [N, H, D / H]

 private:
  at::Tensor weight_;
  int64_t counted_;
  double epsilon_;
};

// One pre-norm layer whose branches are scaled by a learned factor a channel before they are added.
class InternVitLayer {
 public:
  InternVitLayer(const WeightView& weights, const InternVitConfig& config);
  at::Tensor forward(at::Tensor x, int64_t batch) const;  // x [B * T, D]

 private:
  at::Tensor attend(const at::Tensor& x, int64_t batch) const;

  double scale_;
  InternVitNorm norm_before_, norm_after_;
  nn::QkvProjection qkv_;
  std::optional<HeadsNorm> query_norm_, key_norm_;
  nn::Linear output_;
  EncoderMlp mlp_;
  at::Tensor attention_scale_, mlp_scale_;
};

// InternViT (Chen et al. 2023), under the names of transformers' InternVLVisionModel.
class InternVit {
 public:
  InternVit(const WeightView& weights, const InternVitConfig& config);
  // pixels [B, C, S, S] -> hidden states [B, 1 + P, D] after `layers` layers, behind the closing norm if `close`.
  at::Tensor forward(const at::Tensor& pixels, int64_t layers, bool close) const;

 private:
  at::Tensor class_token_, positions_;
  PatchEmbedding patches_;
  std::vector<InternVitLayer> layers_;
  std::optional<nn::LayerNorm> closing_norm_;
};

}  // namespace nuri
