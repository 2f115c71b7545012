#include "models/parts/text/t5.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "models/parts/inputs.h"
#include "models/parts/text/output_head.h"

namespace nuri {
namespace {

double root(int64_t size) { return 1.0 / std::sqrt(static_cast<double>(size)); }

// The bucket of keys that lie `distance` positions behind (int64, not negative): one each for the near ones, then ever
// wider ones, the last of them without end.
at::Tensor bucket_of(const at::Tensor& distance, int64_t buckets, int64_t farthest) {
  int64_t exact = buckets / 2;
  double range = std::log(static_cast<double>(farthest) / static_cast<double>(exact));
  at::Tensor wide = at::log(distance.clamp_min(exact).to(at::kFloat) / exact) / range * (buckets - exact);
  return distance.clamp_max(exact) + wide.to(at::kLong).clamp_max(buckets - 1 - exact);
}

}  // namespace

T5Attention::T5Attention(const WeightView& weights, const T5Config& c)
    : heads_(c.heads),
      head_dim_(c.head_dim),
      query_(weights / "q", c.width, c.heads * c.head_dim, false, c.factor * root(c.width) * root(c.head_dim)),
      key_(weights / "k", c.width, c.heads * c.head_dim, false, c.factor * root(c.width)),
      value_(weights / "v", c.width, c.heads * c.head_dim, false, c.factor * root(c.width)),
      output_(weights / "o", c.heads * c.head_dim, c.width, false, c.factor * root(c.heads * c.head_dim)) {}

at::Tensor T5Attention::split(const at::Tensor& x) const { return x.unflatten(-1, {heads_, head_dim_}); }

nn::Qkv T5Attention::project(const at::Tensor& x) const {
  auto flat = nn::Linear::together(x, {&query_, &key_, &value_});
  return {split(flat[0]), split(flat[1]), split(flat[2])};
}

at::Tensor T5Attention::query(const at::Tensor& x) const { return split(query_(x)); }

nn::CrossMemory T5Attention::memory(const at::Tensor& x) const { return {split(key_(x)), split(value_(x))}; }

T5FeedForward::T5FeedForward(const WeightView& weights, const T5Config& c)
    : first_(weights / (c.gated_mlp ? "wi_0" : "wi"), c.width, c.hidden, false, c.factor * root(c.width)),
      output_(weights / "wo", c.hidden, c.width, false, c.factor * root(c.hidden)),
      activation_(activation_named(c.activation, "feed_forward_proj")) {
  if (c.gated_mlp) second_.emplace(weights / "wi_1", c.width, c.hidden, false, c.factor * root(c.width));
}

at::Tensor T5FeedForward::operator()(const at::Tensor& x) const {
  if (!second_) return output_(first_.activated(x, activation_));
  auto wide = nn::Linear::together(x, {&first_, &*second_});
  return output_(ops::gated(wide[0], wide[1], activation_));
}

T5EncoderBlock::T5EncoderBlock(const WeightView& weights, const T5Config& c)
    : attention_norm_(weights / "layer.0.layer_norm", c.width, c.epsilon),
      mlp_norm_(weights / "layer.1.layer_norm", c.width, c.epsilon),
      attention_(weights / "layer.0.SelfAttention", c),
      mlp_(weights / "layer.1.DenseReluDense", c) {}

at::Tensor T5EncoderBlock::forward(at::Tensor x, int64_t batch, const at::Tensor& bias) const {
  nn::Qkv qkv = attention_.project(attention_norm_(x));
  x = x + attention_.output(nn::attend_within(qkv, batch, /*scale=*/1, /*causal=*/false, bias));
  return x + mlp_(mlp_norm_(x));
}

T5DecoderBlock::T5DecoderBlock(const WeightView& weights, const T5Config& c, int64_t layer)
    : layer_(layer),
      attention_norm_(weights / "layer.0.layer_norm", c.width, c.epsilon),
      cross_norm_(weights / "layer.1.layer_norm", c.width, c.epsilon),
      mlp_norm_(weights / "layer.2.layer_norm", c.width, c.epsilon),
      attention_(weights / "layer.0.SelfAttention", c),
      cross_(weights / "layer.1.EncDecAttention", c),
      mlp_(weights / "layer.2.DenseReluDense", c) {}

at::Tensor T5DecoderBlock::forward(at::Tensor x, const at::Tensor& bias, nn::AttentionContext& context,
                                   const nn::CrossAttentionContext& memory, const at::Tensor& rows) const {
  nn::Qkv qkv = attention_.project(attention_norm_(x));
  x = x + attention_.output(context.attend(layer_, qkv, {.scale = 1, .window = 0, .distance_bias = bias}));
  x = x + cross_.output(memory.attend(layer_, cross_.query(cross_norm_(x)), /*scale=*/1));
  if (rows.defined()) x = x.index_select(0, rows);
  return x + mlp_(mlp_norm_(x));
}

T5::T5(const WeightView& weights, const T5Config& config)
    : config_(config),
      words_(weights / "shared", config.vocabulary, config.width, config.factor),
      encoder_distances_(weights / "encoder.block.0.layer.0.SelfAttention.relative_attention_bias", config.buckets,
                         config.heads, config.factor * root(config.width)),
      decoder_distances_(weights / "decoder.block.0.layer.0.SelfAttention.relative_attention_bias", config.buckets,
                         config.heads, config.factor * root(config.width)),
      encoder_norm_(weights / "encoder.final_layer_norm", config.width, config.epsilon),
      decoder_norm_(weights / "decoder.final_layer_norm", config.width, config.epsilon) {
  for (int64_t layer = 0; layer < config.encoder_layers; ++layer)
    encoder_.emplace_back(weights / "encoder" / "block" / layer, config);
  for (int64_t layer = 0; layer < config.decoder_layers; ++layer)
    decoder_.emplace_back(weights / "decoder" / "block" / layer, config, layer);
  for (const char* name : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"})
    if (weights.differs(name, "shared.weight"))
      throw Error(ErrorKind::unsupported, fmt::format("tensor {}: found other numbers than in {}, expected the same",
                                                      (weights / name).scope(), (weights / "shared.weight").scope()));
  // T5 1.1 has a head of its own, but what transformers 5 makes from a configuration has not.
  bool own_head = !config.scaled_output && weights.stored("lm_head.weight");
  head_.emplace(words_.head(output_head(weights, words_.matrix(), "shared.weight", !own_head,
                                        {config.vocabulary, config.width}, Init::normal(config.factor))));
}

at::Tensor T5::embed(const at::Tensor& ids) const {
  check_ids(ids, config_.vocabulary);
  return words_(ids);
}

at::Tensor T5::encoder_bias(int64_t length) const {
  at::Tensor place = at::arange(length, at::TensorOptions(at::kLong).device(embedding().device()));
  at::Tensor ahead = place - place.unsqueeze(1);  // [query, key]: how far the key lies ahead
  int64_t half = config_.buckets / 2;
  at::Tensor bucket = bucket_of(ahead.abs(), half, config_.farthest) + (ahead > 0).to(at::kLong) * half;
  return encoder_distances_(bucket).permute({2, 0, 1}).unsqueeze(0);
}

at::Tensor T5::decoder_bias() const {
  at::Tensor back = at::arange(config_.farthest + 1, at::TensorOptions(at::kLong).device(embedding().device()));
  return decoder_distances_(bucket_of(back, config_.buckets, config_.farthest)).t();
}

at::Tensor T5::encode(const at::Tensor& embeddings, const at::Tensor& mask) const {
  int64_t batch = embeddings.size(0), length = embeddings.size(1);
  at::Tensor bias = encoder_bias(length);
  if (mask.defined()) {
    at::Tensor hidden = mask.to(bias.device(), at::kBool).logical_not().view({batch, 1, 1, length});
    bias = bias.masked_fill(hidden, ops::lowest(bias.scalar_type()));
  }
  at::Tensor x = embeddings.reshape({batch * length, -1});
  for (const auto& block : encoder_) x = block.forward(x, batch, bias);
  return encoder_norm_(x).view(embeddings.sizes());
}

std::vector<nn::CrossMemory> T5::memories(const at::Tensor& states) const {
  std::vector<nn::CrossMemory> all;
  for (const auto& block : decoder_) {
    nn::CrossMemory memory = block.memory(states);
    const at::ScalarType kept = embedding().scalar_type();
    all.push_back({nn::as_kept(memory.key, kept), nn::as_kept(memory.value, kept)});
  }
  return all;
}

at::Tensor T5::decode(const at::Tensor& embeddings, nn::AttentionContext& context,
                      const nn::CrossAttentionContext& memory, const at::Tensor& rows) const {
  at::Tensor bias = decoder_bias(), x = embeddings;
  for (const auto& block : decoder_)
    x = block.forward(x, bias, context, memory, &block == &decoder_.back() ? rows : at::Tensor());
  return decoder_norm_(x);
}

at::Tensor T5::logits(const at::Tensor& hidden) const {
  return (*head_)(config_.scaled_output ? hidden * root(config_.width) : hidden);
}

}  // namespace nuri
