#pragma once

#include "models/mllama/config.h"
#include "models/parts/vision/vision_tower.h"

namespace nuri {

// Of a picture's rows, those of tiles that there are, at least one, and those that only fill up.
struct TileRows {
  at::Tensor there, missing;  // indices
};

// One layer of the encoder, without biases in its attention; in the second stack the tanh of a learned number scales
// what each half adds.
class MllamaVisionLayer {
 public:
  MllamaVisionLayer(const WeightView& weights, const EncoderConfig& config, bool gated);
  // x [N * L, D], `rows` of each of the N pictures.
  at::Tensor forward(at::Tensor x, const std::vector<TileRows>& rows) const;

 private:
  // Of one picture. Everything sees everything but that what is missing does not see what is missing: two calls that
  // need no mask, with which libtorch's attention takes longer.
  at::Tensor attend(const nn::Qkv& qkv, const TileRows& rows) const;

  double scale_;
  nn::LayerNorm attention_norm_, mlp_norm_;
  nn::QkvProjection qkv_;
  nn::Linear output_;
  EncoderMlp mlp_;
  at::Tensor attention_gate_, mlp_gate_;  // [1]; undefined in the first stack
};

// What the arrangement of a picture's tiles adds to each tile, the same to all its tokens.
class TileEmbedding {
 public:
  TileEmbedding(const WeightView& weights, const MllamaVisionConfig& config);
  // x [N, t, tokens, D], arrangements [N]
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& arrangements) const;

 private:
  nn::Table embedding_;
  at::Tensor gate_;
};

// Between an embedding of the place in a tile and one of the place in the arrangement's tiles, by a gate.
class TilePositions {
 public:
  TilePositions(const WeightView& weights, const MllamaVisionConfig& config);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& arrangements) const;

 private:
  at::Tensor gate_, embedding_;  // [1], [tokens, D]
  nn::Table tile_embedding_;
};

// The picture encoder of Llama 3.2 Vision: a stack over all tiles of a picture at once, a second, gated one on top,
// and beside its output those of some layers of the first.
class MllamaVision {
 public:
  MllamaVision(const WeightView& weights, const MllamaVisionConfig& config);
  // pixels [N, t, C, S, S], arrangements [N] (`aspect_ratio_ids`), tiles [N, t] boolean, true where there is one
  // -> [N, t, 1 + P, D * (1 + intermediate layers)]
  at::Tensor operator()(const at::Tensor& pixels, const at::Tensor& arrangements, const at::Tensor& tiles) const;

 private:
  at::Tensor embed(const at::Tensor& pixels, const at::Tensor& arrangements) const;

  MllamaVisionConfig config_;
  PatchEmbedding patches_;
  at::Tensor class_embedding_;
  TilePositions positions_;
  TileEmbedding before_, between_;
  nn::LayerNorm norm_before_, norm_between_;
  std::vector<MllamaVisionLayer> layers_, global_layers_;
};

}  // namespace nuri
