#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "models/parts/text/feed_forward.h"
#include "models/parts/text/llama_decoder_config.h"
#include "models/parts/text/text_decoder.h"
#include "nn/rope.h"

namespace nuri {

// One block of a decoder: attention and a feed-forward.
class DecoderBlock {
 public:
  virtual ~DecoderBlock() = default;
  // x [N, D] -> [N, D], or the chosen rows alone: every row is attended to, and no more is computed of the others.
  // `tap` may be null.
  virtual at::Tensor forward(at::Tensor x, const nn::Angles& angles, nn::AttentionContext& context,
                             const at::Tensor& rows, Tap* tap) const = 0;
  // Whether it keeps keys and values of every position.
  virtual bool caches() const { return true; }
  // See Model, and CausalLM.
  virtual int64_t idle_parameters() const { return 0; }
  virtual bool can_record_steps() const { return false; }
};

// Makes block `layer` from the weights under model.layers.N. `cached_layer`: its layer of the cache, if it caches.
using MakeBlock = std::function<std::unique_ptr<DecoderBlock>(const WeightView&, const LlamaDecoderConfig&,
                                                              int64_t layer, int64_t cached_layer)>;

// That of Llama (Touvron et al. 2023), each half behind an RMS norm and with a residual.
class LlamaBlock : public DecoderBlock {
 public:
  LlamaBlock(const WeightView& weights, const LlamaDecoderConfig& config, int64_t layer, int64_t cached_layer,
             std::unique_ptr<FeedForward> feed_forward);
  at::Tensor forward(at::Tensor x, const nn::Angles& angles, nn::AttentionContext& context, const at::Tensor& rows,
                     Tap* tap) const override;
  int64_t idle_parameters() const override { return feed_forward_->idle_parameters(); }
  bool can_record_steps() const override { return feed_forward_->can_record_steps(); }

 private:
  at::Tensor attend(const at::Tensor& x, const nn::Angles& angles, nn::AttentionContext& context) const;

  int64_t cached_layer_;
  nn::AttentionOptions options_;
  nn::RmsNorm attention_norm_, mlp_norm_;
  nn::QkvProjection qkv_;
  nn::Linear output_;
  std::unique_ptr<FeedForward> feed_forward_;
};

// With a dense feed-forward.
std::unique_ptr<DecoderBlock> make_llama_block(const WeightView& weights, const LlamaDecoderConfig& config,
                                               int64_t layer, int64_t cached_layer);

// The decoder of Llama, Qwen2 and the models that stand on them. Weight names under `weights`: model.embed_tokens,
// model.layers.N, model.norm, lm_head.
class LlamaDecoder : public TextDecoder {
 public:
  LlamaDecoder(const WeightView& weights, const LlamaDecoderConfig& config,
               const MakeBlock& make_block = make_llama_block);

  const LlamaDecoderConfig& config() const { return config_; }
  at::Tensor embed(const at::Tensor& ids) const override;
  // positions [N], or [3, N] where the configuration has sections
  at::Tensor forward(const at::Tensor& embeddings, const at::Tensor& positions, nn::AttentionContext& context,
                     const at::Tensor& rows = {}, Tap* tap = nullptr) const override;
  at::Tensor logits(const at::Tensor& hidden) const override;
  at::Tensor positions(const NamedTensors& inputs, int64_t batch, int64_t length) const override;
  int64_t idle_parameters() const override;
  bool can_record_steps() const override;

  CausalLM::Limits limits() const override { return {config_.vocabulary, config_.context, config_.width}; }
  nn::CacheShape cache_shape() const override { return {cached_layers_, config_.kv_heads, config_.head_dim}; }
  const at::Tensor& embedding() const override { return embedding_.weight(); }

 private:
  LlamaDecoderConfig config_;
  nn::Embedding embedding_;
  std::vector<std::unique_ptr<DecoderBlock>> blocks_;
  int64_t cached_layers_ = 0;
  nn::RmsNorm norm_;
  std::optional<nn::Linear> head_;  // [V, D], perhaps the embedding's own weight
  nn::Rope rope_;
};

}  // namespace nuri
