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
  if (ids.numel() > 0) {
    auto [smallest, largest] = at::aminmax(ids);
    int64_t low = smallest.item<int64_t>(), high = largest.item<int64_t>();
    if (low < 0 || high >= config_.vocabulary)
      throw Error(ErrorKind::usage, fmt::format("input_ids: found the id {}, expected ids from 0 to {}",
                                                low < 0 ? low : high, config_.vocabulary - 1));
  }
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

at::Tensor next_token_loss(const LlamaDecoder& decoder, const at::Tensor& hidden, const at::Tensor& labels) {
  at::Tensor next = labels.narrow(1, 1, labels.size(1) - 1).reshape({-1}).to(hidden.device(), at::kLong);
  at::Tensor rows = (next != -100).nonzero().squeeze(1);
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

}  // namespace

NamedTensors forward_batch(const LlamaDecoder& decoder, const at::Tensor& embeddings, const NamedTensors& inputs) {
  int64_t batch = embeddings.size(0), length = embeddings.size(1), width = embeddings.size(2);
  auto grid = [&](const char* name) -> at::Tensor {  // an optional [B, T]
    if (!inputs.contains(name)) return {};
    const at::Tensor& found = required_input(inputs, name, 2);
    if (found.size(0) != batch || found.size(1) != length)
      throw Error(ErrorKind::usage, fmt::format("{}: found shape [{}], expected [{}, {}]", name,
                                                fmt::join(found.sizes(), ", "), batch, length));
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
    outputs["loss"] = next_token_loss(decoder, hidden, labels);
    if (at::GradMode::is_enabled()) return outputs;
  }
  if (auto keep = inputs.find("logits_to_keep"); keep != inputs.end()) {
    const at::Tensor& wanted = keep->second;
    if (wanted.dim() == 0 || wanted.numel() == 1) {
      int64_t last = std::min(wanted.item<int64_t>(), length);
      if (last > 0) hidden = hidden.narrow(1, length - last, last);
    } else {
      hidden = hidden.index_select(1, wanted.reshape({-1}).to(at::kLong));
    }
  }
  outputs["logits"] = decoder.logits(hidden);
  return outputs;
}

}  // namespace nuri
