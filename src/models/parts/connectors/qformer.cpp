#include "models/parts/connectors/qformer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "models/parts/inputs.h"

namespace nuri {

QFormerAttention::QFormerAttention(const WeightView& weights, const EncoderConfig& config, int64_t seen)
    : heads_(config.heads),
      query_(weights / "attention" / "query", config.width, config.width, true),
      key_(weights / "attention" / "key", seen, config.width, true),
      value_(weights / "attention" / "value", seen, config.width, true),
      output_(weights / "output" / "dense", config.width, config.width, true),
      norm_(weights / "output" / "LayerNorm", config.width, config.epsilon) {}

at::Tensor QFormerAttention::split(const at::Tensor& x) const { return x.unflatten(-1, {heads_, -1}).transpose(1, 2); }

at::Tensor QFormerAttention::operator()(const at::Tensor& x, const at::Tensor& states, const at::Tensor& mask) const {
  at::Tensor query = split(query_(x)), key = split(key_(states)), value = split(value_(states));
  double scale = 1.0 / std::sqrt(static_cast<double>(query.size(-1)));
  at::Tensor seen = ops::attention(query, key, value, mask, /*causal=*/false, scale);
  return norm_(output_(seen.transpose(1, 2).flatten(2)) + x);
}

QFormerFeedForward::QFormerFeedForward(const WeightView& first, const WeightView& second, const EncoderConfig& config)
    : first_(first / "dense", config.width, config.hidden, true),
      second_(second / "dense", config.hidden, config.width, true),
      norm_(second / "LayerNorm", config.width, config.epsilon),
      activation_(activation_named(config.activation, "hidden_act")) {}

at::Tensor QFormerFeedForward::operator()(const at::Tensor& x) const {
  return norm_(second_(first_.activated(x, activation_)) + x);
}

QFormerLayer::QFormerLayer(const WeightView& weights, const QFormerConfig& config, int64_t picture_width, int64_t layer)
    : attention_(weights / "attention", config.encoder, config.encoder.width),
      query_(weights / "intermediate_query", weights / "output_query", config.encoder) {
  if (layer % config.cross_attention_frequency == 0)
    cross_.emplace(weights / "crossattention", config.encoder, picture_width);
  if (config.reads_text) text_.emplace(weights / "intermediate", weights / "output", config.encoder);
}

at::Tensor QFormerLayer::forward(at::Tensor x, int64_t queries, const at::Tensor& pictures,
                                 const at::Tensor& mask) const {
  x = attention_(x, x, mask);
  if (queries == 0) return (*text_)(x);
  at::Tensor drawn = x.narrow(1, 0, queries);
  if (cross_) drawn = (*cross_)(drawn, pictures, {});
  drawn = query_(drawn);
  int64_t rest = x.size(1) - queries;
  return rest == 0 ? drawn : at::cat({drawn, (*text_)(x.narrow(1, queries, rest))}, 1);
}

QFormer::QFormer(const WeightView& weights, const WeightView& norm, const QFormerConfig& config, int64_t picture_width)
    : reads_text_(config.reads_text), norm_(norm, config.encoder.width, config.encoder.epsilon) {
  for (int64_t layer = 0; layer < config.encoder.layers; ++layer)
    layers_.emplace_back(weights / "encoder" / "layer" / layer, config, picture_width, layer);
}

at::Tensor QFormer::operator()(const at::Tensor& embeddings, int64_t queries, const at::Tensor& pictures,
                               const at::Tensor& mask) const {
  if (!reads_text_ && embeddings.size(1) > queries)
    throw Error(ErrorKind::usage, "found text for a Q-Former that reads none (use_qformer_text_input is false)");
  at::Tensor seen;
  if (mask.defined()) {
    seen = mask.to(embeddings.device(), at::kBool).unsqueeze(1);
    if (mask.dim() == 2) seen = seen.unsqueeze(1).expand({-1, 1, embeddings.size(1), -1});
  }
  at::Tensor x = norm_(embeddings);
  for (const auto& layer : layers_) x = layer.forward(x, queries, pictures, seen);
  return x;
}

QFormerWords::QFormerWords(const WeightView& weights, const QFormerConfig& config)
    : words_(weights / "word_embeddings", config.vocabulary, config.encoder.width),
      positions_(weights / "position_embeddings", config.context, config.encoder.width) {}

at::Tensor QFormerWords::operator()(const at::Tensor& ids, const char* name) const {
  int64_t length = ids.size(1), context = positions_.weight().size(0);
  if (length > context)
    throw Error(ErrorKind::usage, fmt::format("{}: found {} tokens, expected at most {}", name, length, context));
  check_ids(ids, words_.weight().size(0), name);
  return words_(ids.to(words_.weight().device())) + positions_.weight().narrow(0, 0, length);
}

}  // namespace nuri
