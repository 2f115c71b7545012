#include "models/parts/llama_decoder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "base/error.h"

namespace nuri {
namespace {

nn::RopeShape rope_shape(const LlamaDecoderConfig& config) {
  using Scaling = nn::RopeShape::Scaling;
  const RopeConfig& rope = config.rope;
  Scaling scaling = rope.type == "linear"    ? Scaling::linear
                    : rope.type == "dynamic" ? Scaling::dynamic
                    : rope.type == "llama3"  ? Scaling::llama3
                                             : Scaling::none;
  return {scaling,
          config.head_dim,
          rope.theta,
          rope.factor,
          rope.trained_context,
          rope.low_frequency_factor,
          rope.high_frequency_factor};
}

}  // namespace

LlamaBlock::LlamaBlock(const WeightView& weights, const LlamaDecoderConfig& config, int64_t layer)
    : layer_(layer),
      options_{1.0 / std::sqrt(static_cast<double>(config.head_dim)), config.windows[layer]},
      attention_norm_(weights / "input_layernorm", config.width, config.epsilon),
      mlp_norm_(weights / "post_attention_layernorm", config.width, config.epsilon),
      qkv_(weights / "self_attn", {config.width, config.heads, config.kv_heads, config.head_dim, config.qkv_bias},
           config.deviation),
      output_(weights / "self_attn" / "o_proj", config.heads * config.head_dim, config.width, config.output_bias,
              config.deviation),
      mlp_(weights / "mlp", config.width, config.hidden, activation_named(config.activation, "hidden_act"),
           config.mlp_bias) {}

at::Tensor LlamaBlock::attend(const at::Tensor& x, const nn::Angles& angles, nn::AttentionContext& context) const {
  nn::Qkv qkv = qkv_(x);
  qkv.query = ops::rotate_half(qkv.query, angles.cosine, angles.sine);
  qkv.key = ops::rotate_half(qkv.key, angles.cosine, angles.sine);
  return context.attend(layer_, qkv, options_);
}

at::Tensor LlamaBlock::forward(at::Tensor x, const nn::Angles& angles, nn::AttentionContext& context,
                               const at::Tensor& rows) const {
  at::Tensor attended = attend(attention_norm_(x), angles, context);
  if (rows.defined()) x = x.index_select(0, rows), attended = attended.index_select(0, rows);
  x = x + output_(attended);
  return x + mlp_(mlp_norm_(x));
}

LlamaDecoder::LlamaDecoder(const WeightView& weights, const LlamaDecoderConfig& config)
    : config_(config),
      embedding_(weights / "model" / "embed_tokens", config.vocabulary, config.width, config.deviation),
      norm_(weights / "model" / "norm", config.width, config.epsilon),
      rope_(rope_shape(config)) {
  for (int64_t layer = 0; layer < config.layers; ++layer)
    blocks_.emplace_back(weights / "model" / "layers" / layer, config, layer);
  head_ = config.tied_embeddings
              ? embedding_.weight()
              : (weights / "lm_head").get("weight", {config.vocabulary, config.width}, Init::normal(config.deviation));
}

at::Tensor LlamaDecoder::embed(const at::Tensor& ids) const {
  check_ids(ids, config_.vocabulary);
  return embedding_(ids);
}

at::Tensor LlamaDecoder::forward(const at::Tensor& embeddings, const at::Tensor& positions,
                                 nn::AttentionContext& context, const at::Tensor& rows) const {
  nn::Angles angles = rope_(positions, context.extents());
  at::Tensor x = embeddings;
  for (const auto& block : blocks_)
    x = block.forward(x, angles, context, &block == &blocks_.back() ? rows : at::Tensor());
  return norm_(x);
}

at::Tensor LlamaDecoder::logits(const at::Tensor& hidden) const { return ops::linear(hidden, head_); }

at::Tensor LlamaDecoder::step(const Step& step, nn::KvCache& cache) const {
  nn::PagedCausalAttention context(cache, step.sequences);
  at::Tensor rows = at::tensor(step.logit_rows, at::kLong).to(step.embeddings.device());
  at::Tensor hidden = forward(step.embeddings, step.positions, context, rows);
  context.finish();
  return logits(hidden);
}

namespace {

constexpr int64_t kIgnoredLabel = -100;

at::Tensor next_token_loss(const LlamaDecoder& decoder, const at::Tensor& hidden, const at::Tensor& labels,
                           int64_t vocabulary) {
  check_ids(labels.index({labels != kIgnoredLabel}), vocabulary, "labels");
  at::Tensor next = labels.narrow(1, 1, labels.size(1) - 1).reshape({-1}).to(hidden.device(), at::kLong);
  at::Tensor rows = (next != kIgnoredLabel).nonzero().squeeze(1);
  at::Tensor before = hidden.narrow(1, 0, hidden.size(1) - 1).reshape({-1, hidden.size(2)});
  at::Tensor scores = decoder.logits(before.index_select(0, rows)).to(at::kFloat);
  return at::cross_entropy_loss(scores, next.index_select(0, rows));
}

// [B, T], or as the reference takes it too, [B, 1, T, T].
at::Tensor attention_mask(const NamedTensors& inputs, int64_t batch, int64_t length) {
  auto found = inputs.find("attention_mask");
  if (found == inputs.end()) return {};
  at::IntArrayRef shape = found->second.sizes();
  if (shape != at::IntArrayRef({batch, length}) && shape != at::IntArrayRef({batch, 1, length, length}))
    throw Error(ErrorKind::usage, fmt::format("attention_mask: found shape [{}], expected [{}, {}] or [{}, 1, {}, {}]",
                                              fmt::join(shape, ", "), batch, length, batch, length, length));
  return found->second;
}

// The last `count` positions of [B, T, D]; 0: all.
at::Tensor last_rows(const at::Tensor& hidden, int64_t count) {
  if (count < 0) throw Error(ErrorKind::usage, fmt::format("logits_to_keep: found {}, expected at least 0", count));
  int64_t last = std::min(count, hidden.size(1));
  return last == 0 ? hidden : hidden.narrow(1, hidden.size(1) - last, last);
}

// The positions of [B, T, D] that `wanted` lists, from the end when negative.
at::Tensor chosen_rows(const at::Tensor& hidden, const at::Tensor& wanted) {
  int64_t length = hidden.size(1);
  at::Tensor rows = at::where(wanted < 0, wanted + length, wanted);
  check_ids(rows, length, "logits_to_keep");
  return hidden.index_select(1, rows.to(hidden.device()));
}

}  // namespace

NamedTensors forward_batch(const LlamaDecoder& decoder, const at::Tensor& embeddings, const NamedTensors& inputs) {
  int64_t batch = embeddings.size(0), length = embeddings.size(1), width = embeddings.size(2);
  auto grid = [&](const char* name) -> at::Tensor {  // an optional [B, T]
    if (!inputs.contains(name)) return {};
    at::Tensor found = whole_input(inputs, name, 2);
    check_shape(found, {batch, length}, name);
    return found;
  };
  at::Tensor positions = grid("position_ids");
  if (!positions.defined()) positions = at::arange(length, at::kLong).expand({batch, length});
  nn::DenseCausalAttention context(batch, length, attention_mask(inputs, batch, length));
  at::Tensor hidden = decoder.forward(embeddings.reshape({batch * length, width}),
                                      positions.reshape({-1}).to(embeddings.device()), context);
  hidden = hidden.view({batch, length, width});
  NamedTensors outputs;
  if (at::Tensor labels = grid("labels"); labels.defined()) {
    outputs["loss"] = next_token_loss(decoder, hidden, labels, decoder.limits().vocabulary);
    if (at::GradMode::is_enabled()) return outputs;
  }
  if (auto keep = inputs.find("logits_to_keep"); keep != inputs.end()) {
    at::Tensor wanted = whole_input(inputs, "logits_to_keep", keep->second.dim()).reshape({-1});
    hidden = wanted.numel() == 1 ? last_rows(hidden, wanted.item<int64_t>()) : chosen_rows(hidden, wanted);
  }
  outputs["logits"] = decoder.logits(hidden);
  return outputs;
}

}  // namespace nuri
