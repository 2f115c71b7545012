#pragma once

#include <memory>
#include <vector>

#include "models/parts/interface.h"

namespace nuri {

// A decoder of text that reads embeddings, with what a family needs of it; what is put among the embeddings is the
// family's.
class TextDecoder {
 public:
  virtual ~TextDecoder() = default;

  // ids [...] -> [..., D]. Throws Error(usage) for an id outside the vocabulary.
  virtual at::Tensor embed(const at::Tensor& ids) const = 0;
  // embeddings [N, D], positions [N] -> hidden states behind the last norm [N, D], or the rows with the given indices.
  // `tap` may be null.
  virtual at::Tensor forward(const at::Tensor& embeddings, const at::Tensor& positions, nn::AttentionContext& context,
                             const at::Tensor& rows = {}, Tap* tap = nullptr) const = 0;
  // hidden [..., D] -> [..., V]
  virtual at::Tensor logits(const at::Tensor& hidden) const = 0;
  // Positions [B * T] of a batch: `position_ids` [B, T] of the inputs of forward_batch, or the decoder's own counting.
  virtual at::Tensor positions(const NamedTensors& inputs, int64_t batch, int64_t length) const;

  // See Model.
  virtual int64_t idle_parameters() const { return 0; }

  virtual CausalLM::Limits limits() const = 0;
  virtual nn::CacheShape cache_shape() const = 0;
  virtual const at::Tensor& embedding() const = 0;
  at::ScalarType dtype() const { return embedding().scalar_type(); }
  at::Device device() const { return embedding().device(); }

  // As CausalLM's.
  virtual bool can_record_steps() const { return false; }
  at::Tensor step(const Step& step, nn::KvCache& cache, Tap* tap = nullptr) const;
};

// What `forward` of a decoder takes: embeddings [B, T, D], and the reference's optional arguments
// `attention_mask` [B, T] or [B, 1, T, T], `position_ids` [B, T] (or as the decoder takes them), `logits_to_keep` (one
// number, or indices of positions), `labels` [B, T] -> `logits` [B, T or those kept, V], and with labels `loss`, the
// mean cross entropy of the next token where the label is not -100. While gradients are on, labels give the loss alone,
// from the labelled rows. `tap` may be null; `slots`: what each row of the batch keeps beside its positions, or none.
NamedTensors forward_batch(const TextDecoder& decoder, const at::Tensor& embeddings, const NamedTensors& inputs,
                           Tap* tap = nullptr, std::vector<std::shared_ptr<const nn::Slots>> slots = {});

}  // namespace nuri
