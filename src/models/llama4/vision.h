#pragma once

#include "models/llama4/config.h"
#include "models/parts/vision/vision_tower.h"

namespace nuri {

// One layer: pre-norm, with biases, and rotary positions of two dimensions.
class Llama4VisionLayer {
 public:
  Llama4VisionLayer(const WeightView& weights, const EncoderConfig& config);
  // x [B * T, D]; cosine and sine of each row's angles [B * T, d / 2]
  at::Tensor forward(at::Tensor x, int64_t batch, const at::Tensor& cosine, const at::Tensor& sine) const;

 private:
  double scale_;
  nn::LayerNorm attention_norm_, mlp_norm_;
  nn::QkvProjection qkv_;
  nn::Linear output_;
  EncoderMlp mlp_;
};

// The picture encoder, on one tile at a time: patches and a class token behind them, layers, and an adapter that makes
// one token of a square of patches.
class Llama4Vision {
 public:
  Llama4Vision(const WeightView& weights, const Llama4VisionConfig& config);
  // pixels [N, C, S, S] of tiles -> [N, tokens_per_tile, output]
  at::Tensor operator()(const at::Tensor& pixels) const;

 private:
  Llama4VisionConfig config_;
  nn::Linear patches_;
  at::Tensor class_embedding_, positions_;
  nn::LayerNorm norm_before_, norm_after_;
  std::vector<Llama4VisionLayer> layers_;
  nn::Linear adapter_in_, adapter_out_;
};

// x [N, s * s, D] -> [N, (s / r) * (s / r), D r r]: the patches of each square of r x r side by side along the width.
at::Tensor shuffle_pixels(const at::Tensor& x, int64_t r);

}  // namespace nuri
