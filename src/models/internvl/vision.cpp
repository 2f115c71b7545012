#include "models/internvl/vision.h"

#include <ATen/ATen.h>

#include <cmath>

namespace nuri {
namespace {

std::variant<nn::LayerNorm, nn::RmsNorm> make_norm(const WeightView& weights, const InternVitConfig& config) {
  if (config.rms_norm) return nn::RmsNorm(weights, config.encoder.width, config.encoder.epsilon);
  return nn::LayerNorm(weights, config.encoder.width, config.encoder.epsilon);
}

int64_t head_dim(const InternVitConfig& config) { return config.encoder.width / config.encoder.heads; }

}  // namespace

InternVitNorm::InternVitNorm(const WeightView& weights, const InternVitConfig& config)
    : norm_(make_norm(weights, config)) {}

at::Tensor InternVitNorm::operator()(const at::Tensor& x) const {
  return std::visit([&](const auto& norm) { return norm(x); }, norm_);
}

InternVitLayer::InternVitLayer(const WeightView& weights, const InternVitConfig& config)
    : scale_(1.0 / std::sqrt(static_cast<double>(head_dim(config)))),
      norm_before_(weights / "layernorm_before", config),
      norm_after_(weights / "layernorm_after", config),
      qkv_(weights / "attention",
           {config.encoder.width, config.encoder.heads, config.encoder.heads, head_dim(config), config.qkv_bias}),
      output_(weights / "attention" / "projection_layer", config.encoder.width, config.encoder.width, true),
      mlp_(weights / "mlp", config.encoder),
      attention_scale_(weights.get("lambda_1", {config.encoder.width}, Init::constant(config.branch_scale))),
      mlp_scale_(weights.get("lambda_2", {config.encoder.width}, Init::constant(config.branch_scale))) {
  if (!config.qk_norm) return;
  query_norm_.emplace(weights / "attention" / "q_norm", config.encoder.width, config.qk_epsilon);
  key_norm_.emplace(weights / "attention" / "k_norm", config.encoder.width, config.qk_epsilon);
}

at::Tensor InternVitLayer::attend(const at::Tensor& x, int64_t batch) const {
  nn::Qkv qkv = qkv_(x);
  if (query_norm_) {  // over all heads together
    qkv.query = (*query_norm_)(qkv.query.reshape(x.sizes())).view(qkv.query.sizes());
    qkv.key = (*key_norm_)(qkv.key.reshape(x.sizes())).view(qkv.key.sizes());
  }
  return output_(nn::attend_within(qkv, batch, scale_));
}

at::Tensor InternVitLayer::forward(at::Tensor x, int64_t batch) const {
  x = x + attention_scale_ * attend(norm_before_(x), batch);
  return x + mlp_scale_ * mlp_(norm_after_(x));
}

InternVit::InternVit(const WeightView& weights, const InternVitConfig& config)
    : class_token_((weights / "embeddings").get("cls_token", {1, 1, config.encoder.width}, Init::constant(0))),
      patches_(weights / "embeddings" / "patch_embeddings" / "projection",
               {config.channels, config.patch_size, config.encoder.width, /*bias=*/true}) {
  if (config.learned_positions)
    positions_ = (weights / "embeddings")
                     .get("position_embeddings", {1, 1 + config.patches(), config.encoder.width}, Init::constant(0));
  for (int64_t layer = 0; layer < config.encoder.layers; ++layer)
    layers_.emplace_back(weights / "encoder" / "layer" / layer, config);
  if (config.closing_norm) closing_norm_.emplace(weights / "layernorm", config.encoder.width, config.encoder.epsilon);
}

at::Tensor InternVit::forward(const at::Tensor& pixels, int64_t layers, bool close) const {
  at::Tensor x = at::cat({class_token_.expand({pixels.size(0), 1, -1}), patches_(pixels)}, 1);  // [B, 1 + P, D]
  if (positions_.defined()) x = x + positions_;
  at::Tensor rows = x.reshape({-1, x.size(-1)});
  for (int64_t layer = 0; layer < layers; ++layer) rows = layers_[layer].forward(rows, x.size(0));
  if (close) rows = (*closing_norm_)(rows);
  return rows.view(x.sizes());
}

}  // namespace nuri
