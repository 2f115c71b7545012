#pragma once

#include <optional>

#include "models/parts/interface.h"
#include "models/parts/text/t5_config.h"
#include "nn/cross_attention.h"

namespace nuri {

// The projections around attention. Scores are not scaled; new weights make up for it.
class T5Attention {
 public:
  T5Attention(const WeightView& weights, const T5Config& config);
  nn::Qkv project(const at::Tensor& x) const;         // x [N, D] -> [N, H, d] each
  at::Tensor query(const at::Tensor& x) const;        // x [N, D] -> [N, H, d]
  nn::CrossMemory memory(const at::Tensor& x) const;  // x [B, S, D] -> [B, S, H, d] each
  at::Tensor output(const at::Tensor& x) const { return output_(x); }

 private:
  at::Tensor split(const at::Tensor& x) const;  // [..., H * d] -> [..., H, d]

  int64_t heads_, head_dim_;
  nn::Linear query_, key_, value_, output_;
};

// wo(act(wi x)), or of the gated form wo(act(wi_0 x) * wi_1 x).
class T5FeedForward {
 public:
  T5FeedForward(const WeightView& weights, const T5Config& config);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  nn::Linear first_;
  std::optional<nn::Linear> second_;
  nn::Linear output_;
  ops::Activation activation_;
};

class T5EncoderBlock {
 public:
  T5EncoderBlock(const WeightView& weights, const T5Config& config);
  // x [B * S, D], bias [B or 1, H, S, S] -> [B * S, D]
  at::Tensor forward(at::Tensor x, int64_t batch, const at::Tensor& bias) const;

 private:
  nn::RmsNorm attention_norm_, mlp_norm_;
  T5Attention attention_;
  T5FeedForward mlp_;
};

class T5DecoderBlock {
 public:
  T5DecoderBlock(const WeightView& weights, const T5Config& config, int64_t layer);
  // x [N, D], bias [H, distances] -> [N, D], or the chosen rows alone.
  at::Tensor forward(at::Tensor x, const at::Tensor& bias, nn::AttentionContext& context,
                     const nn::CrossAttentionContext& memory, const at::Tensor& rows = {}) const;
  nn::CrossMemory memory(const at::Tensor& states) const { return cross_.memory(states); }

 private:
  int64_t layer_;
  nn::RmsNorm attention_norm_, cross_norm_, mlp_norm_;
  T5Attention attention_, cross_;
  T5FeedForward mlp_;
};

// T5 (Raffel et al. 2020), T5 1.1 and Flan-T5: an encoder that reads the prompt, and a decoder that answers, looking at
// it. Weight names under `weights`: shared, encoder, decoder, lm_head.
class T5 {
 public:
  T5(const WeightView& weights, const T5Config& config);

  // ids [...] -> [..., D]. Throws Error(usage) for an id outside the vocabulary.
  at::Tensor embed(const at::Tensor& ids) const;
  // embeddings [B, S, D], mask [B, S] or undefined -> hidden states behind the last norm [B, S, D]
  at::Tensor encode(const at::Tensor& embeddings, const at::Tensor& mask) const;
  // What each layer of the decoder looks at.
  std::vector<nn::CrossMemory> memories(const at::Tensor& states) const;
  // embeddings [N, D] -> hidden states behind the last norm [N, D], or the chosen rows
  at::Tensor decode(const at::Tensor& embeddings, nn::AttentionContext& context,
                    const nn::CrossAttentionContext& memory, const at::Tensor& rows = {}) const;
  at::Tensor logits(const at::Tensor& hidden) const;

  const T5Config& config() const { return config_; }
  const at::Tensor& embedding() const { return words_.weight(); }

 private:
  at::Tensor encoder_bias(int64_t length) const;  // [1, H, length, length]
  at::Tensor decoder_bias() const;                // [H, farthest + 1]

  T5Config config_;
  nn::Embedding words_;
  nn::Table encoder_distances_, decoder_distances_;  // [buckets, H]
  std::vector<T5EncoderBlock> encoder_;
  std::vector<T5DecoderBlock> decoder_;
  nn::RmsNorm encoder_norm_, decoder_norm_;
  std::optional<nn::Linear> head_;  // [V, D], perhaps the embedding's own weight
};

}  // namespace nuri
