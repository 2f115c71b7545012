#pragma once

#include <ATen/core/Tensor.h>

#include "nn/layers.h"

namespace nuri::nn {

struct AttentionOptions {
  double scale = 1.0;
  int64_t window = 0;  // attend to the last `window` positions only; 0: to all
};

// Where a decoder layer's attention looks. Layers hand over flat rows [N, heads, D] and do not know whether
// these are a padded batch in training or ragged pieces of cached sequences.
class AttentionContext {
 public:
  virtual ~AttentionContext() = default;
  // query [N, H, D], key and value [N, K, D] of layer `layer` -> [N, H * D]
  virtual at::Tensor attend(int64_t layer, const Qkv& qkv, const AttentionOptions& options) = 0;
  // For each row, how long its sequence is after this step, [N] int64; undefined: the longest of the batch.
  virtual at::Tensor extents() const { return {}; }
};

// Causal attention inside a batch [B, T] laid out row after row; no cache. Training, and `nuri forward`.
class DenseCausalAttention : public AttentionContext {
 public:
  // mask [B, T]: nonzero where a token is real; or [B, 1, T, T]: nonzero where a token (row) may look at another
  // (column), which then decides alone; undefined: all tokens are real.
  DenseCausalAttention(int64_t batch, int64_t length, const at::Tensor& mask = {});
  at::Tensor attend(int64_t layer, const Qkv& qkv, const AttentionOptions& options) override;

 private:
  at::Tensor allowed(int64_t window) const;  // [B or 1, 1, T, T]

  int64_t batch_, length_;
  at::Tensor mask_;
};

// Attention of every token to every other inside its own item: rows [B * T] -> [B * T, H * D].
// `mask` as in ops::attention; `causal` for text towers that read left to right.
at::Tensor attend_within(const Qkv& qkv, int64_t batch, double scale, bool causal = false, const at::Tensor& mask = {});

}  // namespace nuri::nn
