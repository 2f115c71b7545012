#include "models/mllama/vision.h"

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <tuple>

#include "nn/attention.h"

namespace nuri {
namespace {

constexpr double kOuterEpsilon = 1e-5;  // of the norms around the stacks, whatever norm_eps says
constexpr int64_t kMultiple = 8;        // of tokens in a tile

at::Tensor through(const at::Tensor& gate, const at::Tensor& x) { return gate.defined() ? x * gate.tanh() : x; }

// Zeros behind the tokens of each tile, up to a multiple of 8: real tokens see them, so they belong to the model.
at::Tensor padded(const at::Tensor& x) {
  int64_t missing = (kMultiple - x.size(2) % kMultiple) % kMultiple;
  return at::cat({x, at::zeros({x.size(0), x.size(1), missing, x.size(3)}, x.options())}, 2);
}

// Everything sees everything but that what is missing does not see what is missing: of the tiles [N, t] that there are,
// for `tokens` of `length` in each. Where only shapes are counted, all are there.
std::vector<TileRows> rows_of(const at::Tensor& tiles, int64_t tokens, int64_t length, at::Device device) {
  int64_t pictures = tiles.size(0), count = tiles.size(1);
  if (tiles.is_meta()) {
    auto indices = at::TensorOptions(at::kLong).device(device);
    TileRows all{at::arange(count * length, indices), at::empty({0}, indices)};
    return std::vector<TileRows>(static_cast<size_t>(pictures), all);
  }
  at::Tensor there = tiles.unsqueeze(2).expand({pictures, count, tokens});
  there = at::cat({there, at::zeros({pictures, count, length - tokens}, tiles.options())}, 2).view({pictures, -1});
  std::vector<TileRows> rows;
  for (const at::Tensor& picture : there.unbind())
    rows.push_back({picture.nonzero().squeeze(1).to(device), picture.logical_not().nonzero().squeeze(1).to(device)});
  return rows;
}

}  // namespace

MllamaVisionLayer::MllamaVisionLayer(const WeightView& weights, const EncoderConfig& config, bool gated)
    : scale_(1.0 / std::sqrt(static_cast<double>(config.width / config.heads))),
      attention_norm_(weights / "input_layernorm", config.width, config.epsilon),
      mlp_norm_(weights / "post_attention_layernorm", config.width, config.epsilon),
      qkv_(weights / "self_attn", {config.width, config.heads, config.heads, config.width / config.heads, false}),
      output_(weights / "self_attn" / "o_proj", config.width, config.width, false),
      mlp_(weights / "mlp", config) {
  if (!gated) return;
  attention_gate_ = weights.get("gate_attn", {1});
  mlp_gate_ = weights.get("gate_ffn", {1});
}

at::Tensor MllamaVisionLayer::attend(const nn::Qkv& qkv, const TileRows& rows) const {
  auto drawn = [&](const at::Tensor& who, const at::Tensor& key, const at::Tensor& value) {
    return nn::attend_within({qkv.query.index_select(0, who), key, value}, 1, scale_, /*causal=*/false, {});
  };
  at::Tensor of_there = drawn(rows.there, qkv.key, qkv.value);
  if (rows.missing.size(0) == 0) return of_there;
  at::Tensor of_missing =
      drawn(rows.missing, qkv.key.index_select(0, rows.there), qkv.value.index_select(0, rows.there));
  at::Tensor out = of_there.new_empty({qkv.query.size(0), of_there.size(1)});
  return out.index_copy_(0, rows.there, of_there).index_copy_(0, rows.missing, of_missing);
}

at::Tensor MllamaVisionLayer::forward(at::Tensor x, const std::vector<TileRows>& rows) const {
  nn::Qkv qkv = qkv_(attention_norm_(x));
  auto length = x.size(0) / static_cast<int64_t>(rows.size());
  std::vector<at::Tensor> attended;
  for (size_t i = 0; i < rows.size(); ++i) {
    auto of_picture = [&](const at::Tensor& all) { return all.narrow(0, static_cast<int64_t>(i) * length, length); };
    attended.push_back(attend({of_picture(qkv.query), of_picture(qkv.key), of_picture(qkv.value)}, rows[i]));
  }
  x = x + through(attention_gate_, output_(attended.size() == 1 ? attended[0] : at::cat(attended)));
  return x + through(mlp_gate_, mlp_(mlp_norm_(x)));
}

TileEmbedding::TileEmbedding(const WeightView& weights, const MllamaVisionConfig& config)
    : embedding_(weights / "embedding", config.aspect_ratios + 1, config.tiles * config.encoder.width),
      gate_(weights.get("gate", {1}, Init::constant(0))) {}

at::Tensor TileEmbedding::operator()(const at::Tensor& x, const at::Tensor& arrangements) const {
  return x + through(gate_, embedding_(arrangements)).view({x.size(0), x.size(1), 1, x.size(3)});
}

TilePositions::TilePositions(const WeightView& weights, const MllamaVisionConfig& config)
    : gate_(weights.get("gate", {1}, Init::constant(0))),
      embedding_(weights.get("embedding", {config.tokens(), config.encoder.width})),
      tile_embedding_(weights / "tile_embedding", config.aspect_ratios + 1,
                      config.tiles * config.tokens() * config.encoder.width) {}

at::Tensor TilePositions::operator()(const at::Tensor& x, const at::Tensor& arrangements) const {
  at::Tensor gate = gate_.tanh();
  return x + (1 - gate) * embedding_ + gate * tile_embedding_(arrangements).view(x.sizes());
}

MllamaVision::MllamaVision(const WeightView& weights, const MllamaVisionConfig& config)
    : config_(config),
      patches_(weights / "patch_embedding", {config.channels, config.patch_size, config.encoder.width, /*bias=*/false}),
      class_embedding_(weights.get("class_embedding", {config.encoder.width})),
      positions_(weights / "gated_positional_embedding", config),
      before_(weights / "pre_tile_positional_embedding", config),
      between_(weights / "post_tile_positional_embedding", config),
      norm_before_(weights / "layernorm_pre", config.encoder.width, kOuterEpsilon),
      norm_between_(weights / "layernorm_post", config.encoder.width, kOuterEpsilon) {
  for (int64_t layer = 0; layer < config.encoder.layers; ++layer)
    layers_.emplace_back(weights / "transformer" / "layers" / layer, config.encoder, /*gated=*/false);
  for (int64_t layer = 0; layer < config.global_layers; ++layer)
    global_layers_.emplace_back(weights / "global_transformer" / "layers" / layer, config.encoder, /*gated=*/true);
}

at::Tensor MllamaVision::embed(const at::Tensor& pixels, const at::Tensor& arrangements) const {
  int64_t pictures = pixels.size(0), tiles = pixels.size(1), width = config_.encoder.width;
  at::Tensor x = patches_(pixels.flatten(0, 1)).view({pictures, tiles, -1, width});  // [N, t, P, D]
  x = before_(x, arrangements);
  x = at::cat({class_embedding_.expand({pictures, tiles, 1, width}), x}, 2);  // [N, t, 1 + P, D]
  return norm_before_(positions_(x, arrangements));
}

at::Tensor MllamaVision::operator()(const at::Tensor& pixels, const at::Tensor& arrangements,
                                    const at::Tensor& tiles) const {
  int64_t width = config_.encoder.width, tokens = config_.tokens();
  at::Tensor x = padded(embed(pixels, arrangements));  // [N, t, 1 + P + padding, D]
  std::vector<int64_t> shape = x.sizes().vec();
  std::vector<TileRows> rows = rows_of(tiles, tokens, shape[2], x.device());
  x = x.reshape({-1, width});
  std::map<int64_t, at::Tensor> states;
  for (int64_t layer : config_.intermediate_layers) states.emplace(layer, at::Tensor());
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    x = layers_[layer].forward(x, rows);
    if (auto wanted = states.find(static_cast<int64_t>(layer)); wanted != states.end()) wanted->second = x;
  }
  x = between_(norm_between_(x).view(shape), arrangements).reshape({-1, width});
  for (const auto& layer : global_layers_) x = layer.forward(x, rows);
  std::vector<at::Tensor> chosen;
  for (int64_t layer : config_.intermediate_layers) chosen.push_back(states.at(layer).view(shape).narrow(2, 0, tokens));
  x = x.view(shape).narrow(2, 0, tokens);
  if (chosen.empty()) return x;
  return at::cat({x, at::stack(chosen, -1).flatten(3)}, -1);  // the layers' values of one feature side by side
}

}  // namespace nuri
