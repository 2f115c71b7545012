#pragma once

#include "models/parts/connectors/qformer.h"

namespace nuri {

// A Q-Former that reads pictures and texts: what BLIP-2 learns in its first stage (Li et al. 2023, section 3.2).
class QueryReader {
 public:
  struct Text {
    at::Tensor ids, mask;  // [B, L]; true where a token counts
  };
  struct Read {
    at::Tensor states;   // [B, L, D]
    at::Tensor vectors;  // [B, C], of length 1
  };

  struct Sizes {
    const QFormerConfig& former;  // one that reads text
    int64_t queries, picture_width, image_text_width;
  };
  // Weight names under `drawing`: query_tokens, qformer; under `weights`: embeddings, vision_projection,
  // text_projection, itm_head.
  QueryReader(const WeightView& weights, const WeightView& drawing, const Sizes& sizes);

  int64_t queries() const { return queries_.size(1); }
  // pictures [N, P, E] -> vectors of length 1, one a query: [N, Q, C]
  at::Tensor embed_pictures(const at::Tensor& pictures) const;
  // Each text alone; its first token tells of the whole.
  Read read(const Text& text) const;
  // How near each text [B, C] is to each picture [N, Q, C]: the cosine with the query that fits best -> [N, B]
  static at::Tensor contrast(const at::Tensor& pictures, const at::Tensor& texts);

  // Queries and text see each other -> the states of both, [B, Q + L, D]. `query_mask` [B, Q], or undefined: all count.
  at::Tensor read_together(const at::Tensor& pictures, const Text& text, const at::Tensor& query_mask = {}) const;
  // From these: does each text fit its picture? -> logits of no and yes, [B, 2]
  at::Tensor match(const at::Tensor& states) const;
  // A token sees the queries and what stands before it; the queries see no text -> the text's states [B, L, D]
  at::Tensor read_on(const at::Tensor& pictures, const Text& text) const;

  const at::Tensor& word_weights() const { return words_.words(); }  // [V, D]

 private:
  // Queries of each picture and the words of its text: [B, Q + L, D]
  at::Tensor together(const at::Tensor& pictures, const Text& text) const;

  at::Tensor queries_;  // [1, Q, D]
  QFormerWords words_;
  QFormer former_;
  nn::Linear picture_projection_, text_projection_, match_;
};

}  // namespace nuri
