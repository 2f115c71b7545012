#pragma once

#include <map>
#include <tuple>

#include "nn/kv_cache.h"

namespace nuri::nn {

// Rows of which each is the next one of a sequence of its own, told by tensors on the cache's device.
struct FixedRows {
  at::Tensor indices;  // [R] int64, each row's index in its sequence
  at::Tensor table;    // [R, B] int64, the blocks of its sequence in order; those behind the row are not read
};

// As PagedCausalAttention for such rows, whose room is reserved already, but that shapes depend on R and B alone and
// nothing comes from the host or goes there: what is done with it can be recorded (ops/recorded_step.h). All B blocks
// of each row are gathered and attended to at once; in place of positions behind a row its own is read again, and
// masked, so that what others left in a block does not count, not even as a NaN.
class FixedPagedAttention : public AttentionContext {
 public:
  FixedPagedAttention(KvCache& cache, const FixedRows& rows);
  at::Tensor attend(int64_t layer, const Qkv& qkv, const AttentionOptions& options) override;
  at::Tensor extents() const override { return indices_ + 1; }
  at::Tensor indices() const override { return indices_; }

 private:
  // [R, 1, 1, B * 16] in `type`, what is added to the scores.
  const at::Tensor& mask(const AttentionOptions& options, at::ScalarType type);

  KvCache& cache_;
  at::Tensor indices_;                       // [R]
  at::Tensor block_of_row_, offset_of_row_;  // [R] where each row's key and value are written
  at::Tensor places_;                        // [R, K, B * 16] where each head's positions lie, in rows of the cache
  std::map<std::tuple<int64_t, int64_t, int64_t>, at::Tensor> masks_;  // by window, chunk and sinks
};

}  // namespace nuri::nn
