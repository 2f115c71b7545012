#pragma once

#include "models/parts/text/llama_decoder.h"

namespace nuri {

// A layer between those of Llama's decoder that looks at pictures instead of the text: cross-attention and a
// feed-forward, each behind the tanh of a gate that begins at zero (Alayrac et al. 2022, in the form of Llama 3.2
// Vision). What it looks at lies in the slots of each sequence: keys and values of its own, and kLookingSlot [T, n]
// boolean, true where a token looks at the n-th part of the states (a tile); tokens behind those T look where the last
// one does, and without this slot all look at everything. A sequence without keys passes unchanged.
class GatedCrossLayer : public DecoderBlock {
 public:
  static constexpr const char* kLookingSlot = "cross_attention_mask";

  // What becomes of a token that looks at nothing: it passes unchanged, or as in Llama 3.2 Vision attends to
  // everything and is left out by the feed-forward alone.
  enum class Blind { pass, attend };

  GatedCrossLayer(const WeightView& weights, const LlamaDecoderConfig& config, int64_t layer, Blind blind);
  // Adds keys and values of the pictures' states [S, D] to a sequence's slots.
  void prepare(const at::Tensor& states, nn::Slots& slots) const;
  at::Tensor forward(at::Tensor x, const nn::Angles& angles, nn::AttentionContext& context, const at::Tensor& rows,
                     Tap* tap) const override;
  bool caches() const override { return false; }

 private:
  // Of rows that all look at something.
  at::Tensor look(at::Tensor x, const std::vector<nn::SequenceRows>& sequences) const;

  std::string key_slot_, value_slot_;
  Blind blind_;
  int64_t heads_, kv_heads_, head_dim_;
  nn::RmsNorm attention_norm_, mlp_norm_, query_norm_, key_norm_;
  nn::Linear query_, key_, value_, output_;
  nn::GatedMlp mlp_;
  at::Tensor attention_gate_, mlp_gate_;  // [1]
};

}  // namespace nuri
