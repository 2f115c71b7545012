#pragma once

#include "models/parts/interface.h"
#include "models/parts/vision/vision_config.h"

namespace nuri {

// fc2(act(fc1(x)))
class EncoderMlp {
 public:
  EncoderMlp(const WeightView& weights, const EncoderConfig& config);
  at::Tensor operator()(const at::Tensor& x) const { return second_(first_.activated(x, activation_)); }
  // other + the same
  at::Tensor added(const at::Tensor& x, const at::Tensor& other) const {
    return second_.added(first_.activated(x, activation_), other);
  }

 private:
  nn::Linear first_, second_;
  ops::Activation activation_;
};

// One pre-norm layer with biases, the same in CLIP (Radford et al. 2021) and SigLIP (Zhai et al. 2023).
class EncoderLayer {
 public:
  EncoderLayer(const WeightView& weights, const EncoderConfig& config);
  // x [B * T, D]; `causal` and `mask` as in nn::attend_within.
  at::Tensor forward(at::Tensor x, int64_t batch, bool causal, const at::Tensor& mask) const;

 private:
  double scale_;
  nn::LayerNorm attention_norm_, mlp_norm_;
  nn::QkvProjection qkv_;
  nn::Linear output_;
  EncoderMlp mlp_;
};

// The stack "encoder.layers.N".
class EncoderStack {
 public:
  EncoderStack(const WeightView& weights, const EncoderConfig& config);
  int64_t depth() const { return static_cast<int64_t>(layers_.size()); }
  // x [B, T, D] -> the same after the first `layers` layers.
  at::Tensor forward(const at::Tensor& x, int64_t layers, bool causal = false, const at::Tensor& mask = {}) const;
  // The states before the first layer and behind each: depth() + 1 of them.
  std::vector<at::Tensor> states(const at::Tensor& x, int64_t layers) const;

 private:
  std::vector<EncoderLayer> layers_;
};

// pixels [B, C, H, W] -> [B, (H / patch) * (W / patch), C * patch * patch], row by row, the values of a patch in the
// order of a convolution's weight; what is left at the edges is not seen
at::Tensor cut_patches(const at::Tensor& pixels, int64_t patch);

// Cuts pictures into patches and projects each: a convolution whose stride is its size, done as a product.
class PatchEmbedding {
 public:
  struct Shape {
    int64_t channels, patch, width;
    bool bias;
  };
  PatchEmbedding(const WeightView& weights, const Shape& shape);
  // pixels [B, C, H, W] -> [B, (H / patch) * (W / patch), D], row by row; what is left at the edges is not seen
  at::Tensor operator()(const at::Tensor& pixels) const;

 private:
  Shape shape_;
  at::Tensor weight_, bias_;
};

// One learned query attends to all patches; its answer is the picture's vector (Zhai et al. 2022, "MAP head").
class PoolingHead {
 public:
  PoolingHead(const WeightView& weights, const EncoderConfig& config);
  // states [B, T, D], mask as in ops::attention -> [B, D]
  at::Tensor operator()(const at::Tensor& states, const at::Tensor& mask = {}) const;

 private:
  int64_t heads_, width_;
  at::Tensor probe_, in_weight_, in_bias_;
  nn::Linear output_;
  nn::LayerNorm norm_;
  EncoderMlp mlp_;
};

// Positions [1, 1 + side * side, D], learned for a class token and a square grid, for one of rows x columns.
at::Tensor stretched_positions(const at::Tensor& positions, int64_t side, int64_t rows, int64_t columns);

struct VisionOutput {
  at::Tensor last;    // [B, T, D] as `last_hidden_state`
  at::Tensor pooled;  // [B, D] as `pooler_output`; undefined without a pooling head
};

// A picture encoder: pixel_values [B, C, S, S] -> hidden states.
class VisionTower {
 public:
  virtual ~VisionTower() = default;
  virtual const VisionConfig& config() const = 0;
  virtual VisionOutput encode(const at::Tensor& pixels) const = 0;
  // The reference's `hidden_states`, up to index `deepest` (0: embeddings; layers: behind the last layer, before
  // any closing norm).
  virtual std::vector<at::Tensor> hidden_states(const at::Tensor& pixels, int64_t deepest) const = 0;
};

// Either encoder, by `config.kind`. The weights' names are those of CLIPVisionModel and SiglipVisionModel.
std::unique_ptr<VisionTower> make_vision_tower(const WeightView& weights, const VisionConfig& config);

// The chosen hidden states of pictures [N, C, S, S], joined along the width: [N, T, k D].
at::Tensor chosen_features(const VisionTower& tower, const FeatureChoice& choice, const at::Tensor& pixels);

// One picture of zeros, as MediaEncoder::picture_inputs gives it.
NamedTensors one_picture(const PictureSizes& sizes);
// `pixel_values` [N, C, S, S] of the inputs, checked, in the type of `like`.
at::Tensor pixel_values(const NamedTensors& inputs, const PictureSizes& sizes, const at::Tensor& like);
// The same of an encoder whose positions stretch: [N, C, H, W], of at least one patch.
at::Tensor pixels_of_any_size(const NamedTensors& inputs, const PictureSizes& sizes, const at::Tensor& like);

}  // namespace nuri
