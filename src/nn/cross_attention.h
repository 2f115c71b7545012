#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "nn/kv_cache.h"

namespace nuri::nn {

// What a layer's cross-attention looks at: an encoder's output as keys and values [B, S, K, D].
struct CrossMemory {
  at::Tensor key, value;
};

// Where a decoder layer's cross-attention looks. As with AttentionContext, layers hand over flat rows.
class CrossAttentionContext {
 public:
  virtual ~CrossAttentionContext() = default;
  // query [N, H, D] of layer `layer` -> [N, H * D]
  virtual at::Tensor attend(int64_t layer, const at::Tensor& query, double scale) const = 0;
};

// Rows [B * T] of a batch look at the memories of all layers; `mask` [B, S] is nonzero where the encoder's token is
// real, undefined: everywhere.
class DenseCrossAttention : public CrossAttentionContext {
 public:
  DenseCrossAttention(std::vector<CrossMemory> memories, const at::Tensor& mask);
  at::Tensor attend(int64_t layer, const at::Tensor& query, double scale) const override;

 private:
  std::vector<CrossMemory> memories_;
  at::Tensor mask_;  // [B, 1, 1, S]
};

// Each sequence of a step looks at what its slots hold; one without slots sees nothing, and gets zeros.
class SlotCrossAttention : public CrossAttentionContext {
 public:
  explicit SlotCrossAttention(std::vector<StepSequence> sequences) : sequences_(std::move(sequences)) {}
  at::Tensor attend(int64_t layer, const at::Tensor& query, double scale) const override;

 private:
  std::vector<StepSequence> sequences_;
};

// Row `row` of the memories of all layers, without what `mask` [B, S] (or undefined) leaves out, as slots.
Slots cross_slots(const std::vector<CrossMemory>& memories, int64_t row, const at::Tensor& mask);

}  // namespace nuri::nn
