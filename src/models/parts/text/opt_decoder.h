#pragma once

#include <optional>

#include "models/parts/text/opt_decoder_config.h"
#include "models/parts/text/text_decoder.h"

namespace nuri {

// One block of OPT (Zhang et al. 2022): attention and a feed-forward of two layers, each with a residual and a norm,
// which stands in front (most sizes) or behind (350m).
class OptBlock {
 public:
  OptBlock(const WeightView& weights, const OptDecoderConfig& config, int64_t layer);
  // x [N, D] -> [N, D], or the chosen rows alone.
  at::Tensor forward(at::Tensor x, nn::AttentionContext& context, const at::Tensor& rows = {}) const;

 private:
  int64_t layer_;
  bool norm_first_;
  nn::AttentionOptions options_;
  nn::LayerNorm attention_norm_, mlp_norm_;
  nn::QkvProjection qkv_;
  nn::Linear output_, first_, second_;
  ops::Activation activation_;
};

// The decoder of OPT. Weight names under `weights`: model.decoder.embed_tokens, embed_positions, layers.N, perhaps
// project_in, project_out and final_layer_norm; lm_head.
class OptDecoder : public TextDecoder {
 public:
  OptDecoder(const WeightView& weights, const OptDecoderConfig& config);

  at::Tensor embed(const at::Tensor& ids) const override;
  at::Tensor forward(const at::Tensor& embeddings, const at::Tensor& positions, nn::AttentionContext& context,
                     const at::Tensor& rows = {}, Tap* tap = nullptr) const override;
  at::Tensor logits(const at::Tensor& hidden) const override;
  // Padding does not count, and stands at -1.
  at::Tensor positions(const NamedTensors& inputs, int64_t batch, int64_t length) const override;

  CausalLM::Limits limits() const override { return {config_.vocabulary, config_.context, config_.word_width}; }
  nn::CacheShape cache_shape() const override { return {config_.layers, config_.heads, config_.width / config_.heads}; }
  const at::Tensor& embedding() const override { return words_.weight(); }

 private:
  OptDecoderConfig config_;
  nn::Embedding words_;
  nn::Table positions_;
  std::optional<nn::Linear> project_in_, project_out_;
  std::vector<OptBlock> blocks_;
  std::optional<nn::LayerNorm> norm_;
  std::optional<nn::Linear> head_;  // [V, word width], perhaps the embedding's own weight
};

}  // namespace nuri
