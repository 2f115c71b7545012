#include "models/parts/text/opt_decoder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "models/parts/inputs.h"
#include "models/parts/text/output_head.h"

namespace nuri {
namespace {

constexpr double kEpsilon = 1e-5;      // torch's own, which the configuration cannot change
constexpr int64_t kFirstPosition = 2;  // row 1 of the table belongs to padding, row 0 to nothing

nn::LayerNorm make_norm(const WeightView& weights, const OptDecoderConfig& config) {
  return config.learned_norm ? nn::LayerNorm(weights, config.width, kEpsilon) : nn::LayerNorm(kEpsilon);
}

// Padding stands at -1.
void check_positions(const at::Tensor& positions, int64_t context) {
  if (positions.is_meta()) return;
  auto [smallest, largest] = at::aminmax(positions);
  int64_t low = smallest.item<int64_t>(), high = largest.item<int64_t>();
  if (low < -1 || high >= context)
    throw Error(ErrorKind::usage,
                fmt::format("found a token at position {}, expected 0 to {}, for which there are embeddings",
                            low < -1 ? low : high, context - 1));
}

}  // namespace

OptBlock::OptBlock(const WeightView& weights, const OptDecoderConfig& config, int64_t layer)
    : layer_(layer),
      norm_first_(config.norm_first),
      options_{1.0 / std::sqrt(static_cast<double>(config.width / config.heads))},
      attention_norm_(make_norm(weights / "self_attn_layer_norm", config)),
      mlp_norm_(make_norm(weights / "final_layer_norm", config)),
      qkv_(weights / "self_attn",
           {config.width, config.heads, config.heads, config.width / config.heads, config.bias, /*in_two=*/true},
           config.deviation),
      output_(weights / "self_attn" / "out_proj", config.width, config.width, config.bias, config.deviation),
      first_(weights / "fc1", config.width, config.hidden, config.bias, config.deviation),
      second_(weights / "fc2", config.hidden, config.width, config.bias, config.deviation),
      activation_(activation_named(config.activation, "activation_function")) {}

at::Tensor OptBlock::forward(at::Tensor x, nn::AttentionContext& context, const at::Tensor& rows) const {
  at::Tensor attended = context.attend(layer_, qkv_(norm_first_ ? attention_norm_(x) : x), options_);
  if (rows.defined()) x = x.index_select(0, rows), attended = attended.index_select(0, rows);
  x = output_.added(attended, x);
  if (!norm_first_) x = attention_norm_(x);
  x = second_.added(first_.activated(norm_first_ ? mlp_norm_(x) : x, activation_), x);
  return norm_first_ ? x : mlp_norm_(x);
}

OptDecoder::OptDecoder(const WeightView& weights, const OptDecoderConfig& config)
    : config_(config),
      words_(weights / "model" / "decoder" / "embed_tokens", config.vocabulary, config.word_width, config.deviation),
      positions_(weights / "model" / "decoder" / "embed_positions", config.context + kFirstPosition, config.width,
                 config.deviation) {
  WeightView decoder = weights / "model" / "decoder";
  if (config.word_width != config.width) {
    project_in_.emplace(decoder / "project_in", config.word_width, config.width, false, config.deviation);
    project_out_.emplace(decoder / "project_out", config.width, config.word_width, false, config.deviation);
  }
  for (int64_t layer = 0; layer < config.layers; ++layer)
    blocks_.emplace_back(decoder / "layers" / layer, config, layer);
  if (config.final_norm) norm_.emplace(make_norm(decoder / "final_layer_norm", config));
  head_.emplace(
      words_.head(output_head(weights, words_.matrix(), "model.decoder.embed_tokens.weight", config.tied_embeddings,
                              {config.vocabulary, config.word_width}, Init::normal(config.deviation))));
}

at::Tensor OptDecoder::embed(const at::Tensor& ids) const {
  check_ids(ids, config_.vocabulary);
  return words_(ids);
}

at::Tensor OptDecoder::forward(const at::Tensor& embeddings, const at::Tensor& positions, nn::AttentionContext& context,
                               const at::Tensor& rows, Tap*) const {
  check_positions(positions, config_.context);
  at::Tensor x = project_in_ ? (*project_in_)(embeddings) : embeddings;
  x = x + positions_(positions + kFirstPosition);
  for (const auto& block : blocks_) x = block.forward(x, context, &block == &blocks_.back() ? rows : at::Tensor());
  if (norm_) x = (*norm_)(x);
  return project_out_ ? (*project_out_)(x) : x;
}

at::Tensor OptDecoder::logits(const at::Tensor& hidden) const { return (*head_)(hidden); }

at::Tensor OptDecoder::positions(const NamedTensors& inputs, int64_t batch, int64_t length) const {
  auto mask = inputs.find("attention_mask");
  if (inputs.contains("position_ids") || mask == inputs.end() || mask->second.dim() != 2)
    return TextDecoder::positions(inputs, batch, length);
  at::Tensor real = mask->second.to(at::kBool).to(at::kLong);
  check_shape(real, {batch, length}, "attention_mask");
  return (real.cumsum(1) * real - 1).reshape({-1});
}

}  // namespace nuri
