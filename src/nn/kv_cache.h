#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "nn/attention.h"

namespace nuri::nn {

// The sizes of a decoder that its cache needs.
struct CacheShape {
  int64_t layers, kv_heads, head_dim;
};

// How a cache holds its numbers: in the model's own type, or each head of a position rounded to codes of 8 bits with a
// scale in float32.
enum class CacheType { native, int8 };

// Keys and values of many sequences in blocks of 16 positions: one tensor [blocks, K, 16, D] each a layer.
// Blocks are counted by reference, so that sequences share what they have in common (Kwon et al. 2023).
class KvCache {
 public:
  static constexpr int64_t kBlock = 16;

  KvCache(const CacheShape& shape, int64_t blocks, at::ScalarType dtype, at::Device device = at::kCPU,
          CacheType type = CacheType::native);
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;

  ops::PagedNumbers& keys(int64_t layer) { return keys_[layer]; }
  ops::PagedNumbers& values(int64_t layer) { return values_[layer]; }
  // The model's own type, of which the numbers are, or which codes stand for.
  at::ScalarType dtype() const { return dtype_; }
  int64_t blocks() const { return static_cast<int64_t>(references_.size()); }
  int64_t free_blocks() const { return static_cast<int64_t>(free_.size()); }
  int64_t references(int32_t block) const { return references_[block]; }

  // Throws Error(resource) when no block is free.
  int32_t allocate();
  // Of a free block too, one that was marked as known: it is then no longer free.
  void retain(int32_t block);
  void release(int32_t block);
  // Whether someone knows what the block holds, and may retain it when it is free. Known blocks are given out last, the
  // longest free one first. `on_reuse` is told of each that is about to change; it is then not known any more.
  void mark_known(int32_t block, bool known);
  void on_reuse(std::function<void(int32_t block)> told) { on_reuse_ = std::move(told); }
  // The contents of the block are about to change.
  void prepare_write(int32_t block);
  // A fresh block with the contents of `block`, in every layer.
  int32_t copy(int32_t block);

  // Blocks that hold so many positions.
  static int64_t blocks_for(int64_t positions) { return (positions + kBlock - 1) / kBlock; }
  static int64_t bytes(const CacheShape& shape, int64_t blocks, at::ScalarType dtype,
                       CacheType type = CacheType::native);

 private:
  at::ScalarType dtype_;
  std::vector<ops::PagedNumbers> keys_, values_;
  std::vector<int32_t> references_;
  std::vector<bool> known_;
  std::list<int32_t> free_;                           // known ones behind the others
  std::vector<std::list<int32_t>::iterator> places_;  // of each block among the free ones
  std::function<void(int32_t)> on_reuse_;
};

// One sequence's place in the cache. A copy is a fork: O(1), both share all blocks until one of them writes.
// The cache must outlive its sequences.
class CachedSequence {
 public:
  explicit CachedSequence(KvCache& cache);
  // A sequence that begins with these whole blocks of the cache, which it then shares with whoever holds them.
  CachedSequence(KvCache& cache, std::vector<int32_t> blocks);

  CachedSequence fork() const { return *this; }
  int64_t length() const { return length_; }
  const std::vector<int32_t>& blocks() const;
  // Null: nothing is kept.
  const Slots* slots() const { return slots_.get(); }
  void keep(std::shared_ptr<const Slots> slots) { slots_ = std::move(slots); }

  // Blocks that reserve(count) would take: new ones, and copies of those that others share.
  int64_t blocks_to_reserve(int64_t count) const;
  // Makes room for `count` more positions that only this sequence owns: allocates blocks, and copies the
  // last one if it is shared and partly full. Throws Error(resource) when the cache is full; the sequence is then
  // unchanged.
  void reserve(int64_t count);
  // Counts `count` reserved positions as written.
  void advance(int64_t count) { length_ += count; }
  // Forgets all but the first `length` positions.
  void truncate(int64_t length);

 private:
  struct Table;
  Table& own_table();

  std::shared_ptr<Table> table_;
  std::shared_ptr<const Slots> slots_;
  int64_t length_ = 0;
};

// Rows [begin, begin + count) of a step continue `sequence`.
struct StepSequence {
  int64_t begin, count;
  CachedSequence* sequence;
  int64_t extent = 0;  // with the whole prompt, if that takes further steps; -1: each row as if in a step of its own
};

// Causal attention over cached sequences: writes the new keys and values, then attends to everything the
// sequence holds. Reserves room when made; finish() counts the new positions as written.
class PagedCausalAttention : public AttentionContext {
 public:
  PagedCausalAttention(KvCache& cache, std::vector<StepSequence> sequences);
  at::Tensor attend(int64_t layer, const Qkv& qkv, const AttentionOptions& options) override;
  at::Tensor extents() const override { return extents_; }
  at::Tensor indices() const override { return indices_; }
  std::vector<SequenceRows> sequences() const override;
  void finish();

 private:
  // The rows of sequences with one new row, and of those whose rows go each for itself.
  void attend_single_rows(int64_t layer, const Qkv& qkv, const AttentionOptions& options, at::Tensor& out);
  at::Tensor attend_gathered(int64_t layer, const StepSequence& piece, const Qkv& qkv, const AttentionOptions& options);

  KvCache& cache_;
  std::vector<StepSequence> sequences_;
  at::Tensor block_of_row_, offset_of_row_;  // [N] where each row's key and value are written
  at::Tensor extents_, indices_;
};

}  // namespace nuri::nn
