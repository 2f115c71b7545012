#pragma once

#include <optional>

#include "models/parts/connectors/qformer_config.h"
#include "models/parts/interface.h"

namespace nuri {

// Attention of x to itself, or to what an encoder made of a picture, with a residual and a norm behind (BERT's block).
class QFormerAttention {
 public:
  // `seen`: the width of what is looked at.
  QFormerAttention(const WeightView& weights, const EncoderConfig& config, int64_t seen);
  // x [B, T, D], states [B, S, E], mask [B, 1, 1, S] or undefined -> [B, T, D]
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& states, const at::Tensor& mask) const;

 private:
  at::Tensor split(const at::Tensor& x) const;  // [B, T, D] -> [B, H, T, D / H]

  int64_t heads_;
  nn::Linear query_, key_, value_, output_;
  nn::LayerNorm norm_;
};

// Two layers with a residual and a norm behind.
class QFormerFeedForward {
 public:
  QFormerFeedForward(const WeightView& first, const WeightView& second, const EncoderConfig& config);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  nn::Linear first_, second_;
  nn::LayerNorm norm_;
  ops::Activation activation_;
};

// Queries and text attend to each other; then queries alone look at the picture, and each goes through a feed-forward
// of its own.
class QFormerLayer {
 public:
  QFormerLayer(const WeightView& weights, const QFormerConfig& config, int64_t picture_width, int64_t layer);
  // x [B, Q + T, D], of which the first `queries` are queries; pictures [B, P, E], undefined without queries.
  at::Tensor forward(at::Tensor x, int64_t queries, const at::Tensor& pictures, const at::Tensor& mask) const;

 private:
  QFormerAttention attention_;
  std::optional<QFormerAttention> cross_;
  std::optional<QFormerFeedForward> text_;
  QFormerFeedForward query_;
};

// The querying transformer of BLIP-2 (Li et al. 2023): learned queries draw from a picture what a text needs. Weight
// names under `weights`: encoder.layer.N.
class QFormer {
 public:
  // `norm`: where the norm of the embeddings lies.
  QFormer(const WeightView& weights, const WeightView& norm, const QFormerConfig& config, int64_t picture_width);
  // embeddings [B, Q + T, D] of queries and text, pictures [B, P, E]; mask [B, Q + T] says what all see, [B, Q + T,
  // Q + T] what each row sees; undefined: all -> [B, Q + T, D]. Throws Error(usage) for text where there is no
  // feed-forward for it.
  at::Tensor operator()(const at::Tensor& embeddings, int64_t queries, const at::Tensor& pictures,
                        const at::Tensor& mask = {}) const;

 private:
  bool reads_text_;
  nn::LayerNorm norm_;
  std::vector<QFormerLayer> layers_;
};

// Words and learned positions of the text that a Q-Former reads. Weight names: word_embeddings, position_embeddings.
class QFormerWords {
 public:
  QFormerWords(const WeightView& weights, const QFormerConfig& config);
  // `name` of the inputs, [B, T] -> [B, T, D]. Throws Error(usage) for ids outside the vocabulary, and too many of
  // them.
  at::Tensor operator()(const at::Tensor& ids, const char* name) const;
  const at::Tensor& words() const { return words_.weight(); }  // [V, D]

 private:
  nn::Table words_, positions_;
};

}  // namespace nuri
