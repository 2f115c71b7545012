#pragma once

#include <list>
#include <map>
#include <span>
#include <vector>

#include "base/digest.h"
#include "models/parts/interface.h"

namespace nuri {

// Whole blocks of a sequence: entry i stands for all that the keys and values of block i rest on, which are the rows
// of blocks 0 to i as the decoder reads them (token or picture alike), their positions, and what the sequence keeps
// beside them. Extends `keys` to the whole blocks of `input`; rows in the type that the model reads.
using BlockKeys = std::vector<Digest::Value>;
void extend_keys(BlockKeys& keys, const DecoderInput& input, at::ScalarType type);

// Finds what earlier sequences left in a cache (Kwon et al. 2023, 4.4; vLLM's automatic prefix caching). It holds no
// block: one that no sequence uses is free, and known here until the cache gives it out.
class PrefixCache {
 public:
  // `most` blocks are known at a time, those that were used last. The cache must outlive this.
  PrefixCache(nn::KvCache& cache, int64_t most);
  ~PrefixCache();

  // The longest sequence of known blocks that begins `keys`.
  nn::CachedSequence longest(std::span<const Digest::Value> keys);
  // What the sequence holds of these whole blocks is known from now on. A block that is known already stays the one.
  void learn(std::span<const Digest::Value> keys, const nn::CachedSequence& sequence);
  int64_t known() const { return static_cast<int64_t>(entries_.size()); }

 private:
  struct Entry {
    Digest::Value key;
    int32_t block;
  };
  void forget(int32_t block);

  nn::KvCache& cache_;
  size_t most_;
  std::list<Entry> entries_;  // the last used first, a block before those behind it
  std::map<Digest::Value, std::list<Entry>::iterator> by_key_;
  std::map<int32_t, std::list<Entry>::iterator> by_block_;
};

}  // namespace nuri
