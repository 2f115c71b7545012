#pragma once

#include "models/parts/inputs.h"
#include "models/parts/interface.h"
#include "models/parts/llama_decoder_config.h"
#include "nn/rope.h"

namespace nuri {

// One block of Llama (Touvron et al. 2023): attention and a gated feed-forward, each behind an RMS norm and
// with a residual.
class LlamaBlock {
 public:
  LlamaBlock(const WeightView& weights, const LlamaDecoderConfig& config, int64_t layer);
  // x [N, D] -> [N, D], or the chosen rows alone: every row is attended to, and no more is computed of the others.
  at::Tensor forward(at::Tensor x, const nn::Angles& angles, nn::AttentionContext& context,
                     const at::Tensor& rows = {}) const;

 private:
  at::Tensor attend(const at::Tensor& x, const nn::Angles& angles, nn::AttentionContext& context) const;

  int64_t layer_;
  nn::AttentionOptions options_;
  nn::RmsNorm attention_norm_, mlp_norm_;
  nn::QkvProjection qkv_;
  nn::Linear output_;
  nn::GatedMlp mlp_;
};

// The decoder of Llama, Qwen2 and the models that stand on them. Weight names under `weights`: model.embed_tokens,
// model.layers.N, model.norm, lm_head.
class LlamaDecoder {
 public:
  LlamaDecoder(const WeightView& weights, const LlamaDecoderConfig& config);

  const LlamaDecoderConfig& config() const { return config_; }
  // ids [...] -> [..., D]. Throws Error(usage) for an id outside the vocabulary.
  at::Tensor embed(const at::Tensor& ids) const;
  // embeddings [N, D], positions [N] -> hidden states behind the last norm [N, D], or the rows with the given indices
  at::Tensor forward(const at::Tensor& embeddings, const at::Tensor& positions, nn::AttentionContext& context,
                     const at::Tensor& rows = {}) const;
  // hidden [..., D] -> [..., V]
  at::Tensor logits(const at::Tensor& hidden) const;
  at::Tensor step(const Step& step, nn::KvCache& cache) const;

  CausalLM::Limits limits() const { return {config_.vocabulary, config_.context, config_.width}; }
  nn::CacheShape cache_shape() const { return {config_.layers, config_.kv_heads, config_.head_dim}; }
  const at::Tensor& embedding() const { return embedding_.weight(); }
  at::ScalarType dtype() const { return embedding_.weight().scalar_type(); }
  at::Device device() const { return embedding_.weight().device(); }

 private:
  LlamaDecoderConfig config_;
  nn::Embedding embedding_;
  std::vector<LlamaBlock> blocks_;
  nn::RmsNorm norm_;
  at::Tensor head_;  // [V, D], perhaps the embedding's own weight
  nn::Rope rope_;
};

// What `forward` of a decoder takes: embeddings [B, T, D], and the reference's optional arguments
// `attention_mask` [B, T] or [B, 1, T, T], `position_ids` [B, T], `logits_to_keep` (one number, or indices of
// positions), `labels` [B, T] -> `logits` [B, T or those kept, V], and with labels `loss`, the mean cross entropy of
// the next token where the label is not -100. While gradients are on, labels give the loss alone, from the labelled
// rows.
NamedTensors forward_batch(const LlamaDecoder& decoder, const at::Tensor& embeddings, const NamedTensors& inputs);

}  // namespace nuri
