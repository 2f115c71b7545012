#include "models/parts/connectors/perceiver_resampler.h"

#include <ATen/ATen.h>

#include <cmath>

namespace nuri {
namespace {

constexpr double kResamplerEpsilon = 1e-5;

}  // namespace

PerceiverResampler::Layer::Layer(const WeightView& weights, const ConnectorConfig& config)
    : patch_norm(weights / "norm_media", config.in, kResamplerEpsilon),
      latent_norm(weights / "norm_latents", config.in, kResamplerEpsilon),
      query(weights / "q_proj", config.in, config.in, false),
      key(weights / "k_proj", config.in, config.in, false),
      value(weights / "v_proj", config.in, config.in, false),
      output(weights / "o_proj", config.in, config.in, false),
      feed_norm(weights / "norm_feed_forward", config.in, kResamplerEpsilon),
      feed_in(weights / "fc1", config.in, config.hidden, false),
      feed_out(weights / "fc2", config.hidden, config.in, false) {}

PerceiverResampler::PerceiverResampler(const WeightView& weights, const ConnectorConfig& config)
    : heads_(config.heads),
      latents_(weights.get("latents", {1, config.queries, config.in})),
      norm_(weights / "norm", config.in, kResamplerEpsilon),
      projection_(weights / "projection", config.in, config.out, true) {
  for (int64_t layer = 0; layer < config.depth; ++layer) layers_.emplace_back(weights / "layers" / layer, config);
}

at::Tensor PerceiverResampler::operator()(const at::Tensor& patches) const {
  at::Tensor x = latents_.expand({patches.size(0), -1, -1});
  for (const Layer& layer : layers_) {
    x = x + attend(layer, patches, x);
    x = x + layer.feed_out(ops::activate(layer.feed_in(layer.feed_norm(x)), ops::Activation::gelu));
  }
  return projection_(norm_(x));
}

at::Tensor PerceiverResampler::attend(const Layer& layer, const at::Tensor& patches, const at::Tensor& latents) const {
  auto in_heads = [&](const at::Tensor& x) { return x.unflatten(-1, {heads_, -1}).transpose(1, 2); };
  at::Tensor own = layer.latent_norm(latents), seen = at::cat({layer.patch_norm(patches), own}, 1);  // [N, P + Q, D]
  at::Tensor query = in_heads(layer.query(own)), key = in_heads(layer.key(seen)), value = in_heads(layer.value(seen));
  double scale = 1.0 / std::sqrt(static_cast<double>(query.size(-1)));
  at::Tensor drawn = ops::attention(query, key, value, {}, /*causal=*/false, scale);
  return layer.output(drawn.transpose(1, 2).flatten(2));
}

}  // namespace nuri
