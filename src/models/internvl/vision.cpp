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

int64_t all_heads(const InternVitConfig& config) { return config.encoder.heads + config.dummy_heads; }

}  // namespace

InternVitNorm::InternVitNorm(const WeightView& weights, const InternVitConfig& config)
    : norm_(make_norm(weights, config)) {}

at::Tensor InternVitNorm::operator()(const at::Tensor& x) const {
  return std::visit([&](const auto& norm) { return norm(x); }, norm_);
}

HeadsNorm::HeadsNorm(const WeightView& weights, const InternVitConfig& config)
    : weight_(weights.get("weight", {all_heads(config) * head_dim(config)}, Init::constant(1))),
      counted_(config.encoder.width),
      epsilon_(config.qk_epsilon) {}

at::Tensor HeadsNorm::operator()(const at::Tensor& x) const {
  at::Tensor flat = x.reshape({x.size(0), -1});
  if (flat.size(1) == counted_) return ops::rms_norm(flat, weight_, epsilon_).view(x.sizes());
  at::Tensor wide = flat.to(at::kFloat);
  at::Tensor scale = (wide.narrow(1, 0, counted_).square().mean(1, /*keepdim=*/true) + epsilon_).rsqrt();
  return ((wide * scale).to(x.scalar_type()) * weight_).view(x.sizes());
}

InternVitLayer::InternVitLayer(const WeightView& weights, const InternVitConfig& config)
    : scale_(1.0 / std::sqrt(static_cast<double>(head_dim(config)))),
      norm_before_(weights / "layernorm_before", config),
      norm_after_(weights / "layernorm_after", config),
      qkv_(weights / "attention",
           {config.encoder.width, all_heads(config), all_heads(config), head_dim(config), config.qkv_bias}),
      output_(weights / "attention" / "projection_layer", all_heads(config) * head_dim(config), config.encoder.width,
              true),
      mlp_(weights / "mlp", config.encoder),
      attention_scale_(weights.get("lambda_1", {config.encoder.width}, Init::constant(config.branch_scale))),
      mlp_scale_(weights.get("lambda_2", {config.encoder.width}, Init::constant(config.branch_scale))) {
  if (!config.qk_norm) return;
  query_norm_.emplace(weights / "attention" / "q_norm", config);
  key_norm_.emplace(weights / "attention" / "k_norm", config);
}

at::Tensor InternVitLayer::attend(const at::Tensor& x, int64_t batch) const {
  nn::Qkv qkv = qkv_(x);
  if (query_norm_) qkv.query = (*query_norm_)(qkv.query), qkv.key = (*key_norm_)(qkv.key);
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
