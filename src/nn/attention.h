#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/layers.h"

namespace nuri::nn {

struct AttentionOptions {
  double scale = 1.0;
  int64_t window = 0;  // attend to the last `window` positions only; 0: to all
  int64_t chunk = 0;   // attend to the own one of chunks of so many positions only; 0: to all
  // [H, N], added to the score of a key that lies i positions back; the last column stands for all that lie farther.
  // Undefined: nothing is added.
  at::Tensor distance_bias = {};
  // The first `sinks` positions are attended to besides window and chunk, by all behind them (attention sinks, Xiao et
  // al. 2024).
  int64_t sinks = 0;

  // The first position that position `index` of a sequence attends to, but for the sinks.
  int64_t first_seen(int64_t index) const;
  // Which of positions [0, past + count) the last `count` of them attend to: boolean [count, past + count], or for
  // sequences that begin at `starts` [B], [B, count, past + count].
  at::Tensor seen(int64_t past, int64_t count, const at::Tensor& starts = {}) const;
  // The same of positions `keys` [..., S] and `queries` [..., 1] -> [..., S], on their device.
  at::Tensor seen(const at::Tensor& keys, const at::Tensor& queries, const at::Tensor& starts = {}) const;
};

// Tensors that a sequence keeps beside its positions, by name: what cross-attention looks at, an encoder's output.
using Slots = std::map<std::string, at::Tensor>;
// The slot, one whole number, of positions in front of a sequence that were padding and left out, where a model counts
// them all the same.
inline constexpr const char* kPaddingSlot = "left_padding";

// Rows [begin, begin + count) are the positions from `past` on of one sequence, which keeps `slots` (null: nothing).
struct SequenceRows {
  int64_t begin, count, past;
  const Slots* slots;
};

// `mask` [B or 1, 1, rows, total] (true where a row may look), of rows that are the last of `total` positions, as what
// ops::attention adds to the scores: `distance_bias`, and the lowest number where a row may not look.
at::Tensor with_distance_bias(const at::Tensor& mask, const at::Tensor& distance_bias);

// Keys or values as a cache of that type keeps them: of float32 they are rounded to 16 bits.
at::Tensor as_kept(const at::Tensor& x, at::ScalarType type);

// Where a decoder layer's attention looks. Layers hand over flat rows [N, heads, D] and do not know whether
// these are a padded batch in training or ragged pieces of cached sequences.
class AttentionContext {
 public:
  virtual ~AttentionContext() = default;
  // query [N, H, D], key and value [N, K, D] of layer `layer` -> [N, H * D]
  virtual at::Tensor attend(int64_t layer, const Qkv& qkv, const AttentionOptions& options) = 0;
  // For each row, how long its sequence is after this step, [N] int64; undefined: the longest of the batch.
  virtual at::Tensor extents() const { return {}; }
  // For each row, its index in its sequence, [N] int64, padding in front of it counted.
  virtual at::Tensor indices() const = 0;
  // Whose the rows are, for layers that look at what a sequence keeps beside its positions.
  virtual std::vector<SequenceRows> sequences() const { return {}; }
};

// Causal attention inside a batch [B, T] laid out row after row; no cache. Training, and `nuri forward`.
class DenseCausalAttention : public AttentionContext {
 public:
  // mask [B, T]: nonzero where a token is real; or [B, 1, T, T]: nonzero where a token (row) may look at another
  // (column), which then decides alone; undefined: all tokens are real. slots: of each item, or none. kept: see
  // as_kept.
  DenseCausalAttention(int64_t batch, int64_t length, const at::Tensor& mask = {},
                       std::vector<std::shared_ptr<const Slots>> slots = {}, at::ScalarType kept = at::kFloat);
  at::Tensor attend(int64_t layer, const Qkv& qkv, const AttentionOptions& options) override;
  at::Tensor indices() const override;
  std::vector<SequenceRows> sequences() const override;

 private:
  at::Tensor allowed(const AttentionOptions& options) const;  // [B or 1, 1, T, T]

  int64_t batch_, length_;
  at::Tensor mask_;
  at::Tensor starts_;  // [B] where the first real token stands; undefined: at 0
  std::vector<std::shared_ptr<const Slots>> slots_;
  at::ScalarType kept_;
};

// Attention of every token to every other inside its own item: rows [B * T] -> [B * T, H * D].
// `mask` as in ops::attention; `causal` for text towers that read left to right.
at::Tensor attend_within(const Qkv& qkv, int64_t batch, double scale, bool causal = false, const at::Tensor& mask = {});

}  // namespace nuri::nn
