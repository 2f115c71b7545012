#include "models/parts/text/llama_decoder.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>

#include "models/parts/inputs.h"
#include "models/parts/text/output_head.h"

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
          rope.high_frequency_factor,
          rope.sections,
          rope.divisors};
}

}  // namespace

LlamaBlock::LlamaBlock(const WeightView& weights, const LlamaDecoderConfig& config, int64_t layer, int64_t cached_layer,
                       std::unique_ptr<FeedForward> feed_forward)
    : cached_layer_(cached_layer),
      options_{1.0 / std::sqrt(static_cast<double>(config.head_dim)), config.windows[layer]},
      attention_norm_(weights / "input_layernorm", config.width, config.epsilon),
      mlp_norm_(weights / "post_attention_layernorm", config.width, config.epsilon),
      qkv_(weights / "self_attn",
           {config.width, config.heads, config.kv_heads, config.head_dim, config.qkv_bias,
            /*in_two=*/true},
           config.deviation),
      output_(weights / "self_attn" / "o_proj", config.heads * config.head_dim, config.width, config.output_bias,
              config.deviation),
      feed_forward_(std::move(feed_forward)) {}

at::Tensor LlamaBlock::attend(const at::Tensor& x, const nn::Angles& angles, nn::AttentionContext& context) const {
  nn::Qkv qkv = qkv_(x);
  qkv.query = ops::rotate_half(qkv.query, angles.cosine, angles.sine);
  qkv.key = ops::rotate_half(qkv.key, angles.cosine, angles.sine);
  return context.attend(cached_layer_, qkv, options_);
}

at::Tensor LlamaBlock::forward(at::Tensor x, const nn::Angles& angles, nn::AttentionContext& context,
                               const at::Tensor& rows, Tap* tap) const {
  at::Tensor attended = attend(attention_norm_(x), angles, context);
  if (rows.defined()) x = x.index_select(0, rows), attended = attended.index_select(0, rows);
  x = output_.added(attended, x);
  return feed_forward_->added(mlp_norm_(x), x, tap);
}

std::unique_ptr<DecoderBlock> make_llama_block(const WeightView& weights, const LlamaDecoderConfig& config,
                                               int64_t layer, int64_t cached_layer) {
  auto mlp = std::make_unique<DenseFeedForward>(nn::GatedMlp(weights / "mlp", config.width, config.hidden,
                                                             activation_named(config.activation, "hidden_act"),
                                                             config.mlp_bias));
  return std::make_unique<LlamaBlock>(weights, config, layer, cached_layer, std::move(mlp));
}

LlamaDecoder::LlamaDecoder(const WeightView& weights, const LlamaDecoderConfig& config, const MakeBlock& make_block)
    : config_(config),
      embedding_(weights / "model" / "embed_tokens", config.vocabulary + config.further_tokens, config.width,
                 config.deviation),
      norm_(weights / "model" / "norm", config.width, config.epsilon),
      rope_(rope_shape(config), embedding_.weight().device()) {
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    blocks_.push_back(make_block(weights / "model" / "layers" / layer, config, layer, cached_layers_));
    cached_layers_ += blocks_.back()->caches();
  }
  head_.emplace(
      embedding_.head(output_head(weights, embedding_.matrix(), "model.embed_tokens.weight", config.tied_embeddings,
                                  {config.vocabulary, config.width}, Init::normal(config.deviation))));
}

at::Tensor LlamaDecoder::embed(const at::Tensor& ids) const {
  check_ids(ids, config_.vocabulary + config_.further_tokens);
  return embedding_(ids);
}

at::Tensor LlamaDecoder::forward(const at::Tensor& embeddings, const at::Tensor& positions,
                                 nn::AttentionContext& context, const at::Tensor& rows, Tap* tap) const {
  nn::Angles angles = rope_(positions, context.extents());
  at::Tensor x = embeddings;
  bool whole = tap != nullptr;  // who watches wants to see every row
  for (size_t layer = 0; layer < blocks_.size(); ++layer) {
    x = blocks_[layer]->forward(x, angles, context, layer + 1 == blocks_.size() && !whole ? rows : at::Tensor(), tap);
    if (whole && tap->layer == static_cast<int64_t>(layer)) tap->output = x;
  }
  return norm_(whole && rows.defined() ? x.index_select(0, rows) : x);
}

int64_t LlamaDecoder::idle_parameters() const {
  int64_t sum = 0;
  for (const auto& block : blocks_) sum += block->idle_parameters();
  return sum;
}

// Dynamic frequencies are made on the host.
bool LlamaDecoder::can_record_steps() const {
  return config_.rope.type != "dynamic" &&
         std::ranges::all_of(blocks_, [](const auto& block) { return block->can_record_steps(); });
}

at::Tensor LlamaDecoder::logits(const at::Tensor& hidden) const { return (*head_)(hidden); }

at::Tensor LlamaDecoder::positions(const NamedTensors& inputs, int64_t batch, int64_t length) const {
  bool three =
      !config_.rope.sections.empty() && inputs.contains("position_ids") && inputs.at("position_ids").dim() == 3;
  if (!three) return TextDecoder::positions(inputs, batch, length);
  at::Tensor found = whole_input(inputs, "position_ids", 3);
  check_shape(found, {3, batch, length}, "position_ids");
  return found.reshape({3, batch * length});
}

}  // namespace nuri
