#pragma once

#include <vector>

#include "models/parts/connectors/connector_config.h"
#include "nn/layers.h"

namespace nuri {

// Learned queries that draw from a picture what a decoder needs: each layer lets them attend to the patches and to
// themselves, and feeds them forward (Flamingo, Alayrac et al. 2022). Weight names: latents, layers.N, norm,
// projection.
class PerceiverResampler {
 public:
  PerceiverResampler(const WeightView& weights, const ConnectorConfig& config);
  // patches [N, P, in] -> [N, queries, out]
  at::Tensor operator()(const at::Tensor& patches) const;

 private:
  struct Layer {
    Layer(const WeightView& weights, const ConnectorConfig& config);
    nn::LayerNorm patch_norm, latent_norm;
    nn::Linear query, key, value, output;
    nn::LayerNorm feed_norm;
    nn::Linear feed_in, feed_out;
  };
  at::Tensor attend(const Layer& layer, const at::Tensor& patches, const at::Tensor& latents) const;

  int64_t heads_;
  at::Tensor latents_;  // [1, queries, in]
  std::vector<Layer> layers_;
  nn::LayerNorm norm_;
  nn::Linear projection_;
};

}  // namespace nuri
