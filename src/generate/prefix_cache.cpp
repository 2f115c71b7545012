#include "generate/prefix_cache.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace nuri {
namespace {

constexpr int64_t kBlock = nn::KvCache::kBlock;

void add(Digest& digest, const at::Tensor& tensor) {
  at::Tensor flat = tensor.cpu().contiguous();
  digest.add(static_cast<int64_t>(flat.scalar_type()));
  for (int64_t size : flat.sizes()) digest.add(size);
  digest.add(flat.const_data_ptr(), flat.nbytes());
}

// What every row may look at.
Digest::Value root_of(const NamedTensors* slots) {
  Digest digest;
  if (slots != nullptr)
    for (const auto& [name, tensor] : *slots) {
      digest.add(static_cast<int64_t>(name.size())).add(name.data(), name.size());
      add(digest, tensor);
    }
  return digest.value();
}

// Of rows [begin, begin + kBlock): [3, kBlock]
at::Tensor positions_of(const DecoderInput& input, int64_t begin) {
  if (!input.positions.defined()) return (at::arange(begin, begin + kBlock, at::kLong) + input.shift).expand({3, -1});
  return input.positions.narrow(-1, begin, kBlock).expand({3, -1});
}

}  // namespace

void extend_keys(BlockKeys& keys, const DecoderInput& input, at::ScalarType type) {
  auto known = static_cast<int64_t>(keys.size()), blocks = input.embeddings.size(0) / kBlock;
  if (known >= blocks) return;
  Digest::Value before = keys.empty() ? root_of(input.slots.get()) : keys.back();
  at::Tensor rows = input.embeddings.narrow(0, known * kBlock, (blocks - known) * kBlock).to(at::kCPU, type);
  for (int64_t block = known; block < blocks; ++block) {
    Digest digest;
    digest.add(before);
    add(digest, positions_of(input, block * kBlock));
    add(digest, rows.narrow(0, (block - known) * kBlock, kBlock));
    keys.push_back(before = digest.value());
  }
}

PrefixCache::PrefixCache(nn::KvCache& cache, int64_t most)
    : cache_(cache), most_(static_cast<size_t>(std::max<int64_t>(most, 0))) {
  cache_.on_reuse([this](int32_t block) { forget(block); });
}

PrefixCache::~PrefixCache() { cache_.on_reuse({}); }

void PrefixCache::forget(int32_t block) {
  auto found = by_block_.find(block);
  if (found == by_block_.end()) return;
  by_key_.erase(found->second->key);
  entries_.erase(found->second);
  by_block_.erase(found);
}

nn::CachedSequence PrefixCache::longest(std::span<const Digest::Value> keys) {
  std::vector<int32_t> blocks;
  for (const auto& key : keys) {
    auto found = by_key_.find(key);
    if (found == by_key_.end()) break;
    blocks.push_back(found->second->block);
  }
  for (size_t i = blocks.size(); i-- > 0;) entries_.splice(entries_.begin(), entries_, by_key_.at(keys[i]));
  return nn::CachedSequence(cache_, std::move(blocks));
}

void PrefixCache::learn(std::span<const Digest::Value> keys, const nn::CachedSequence& sequence) {
  size_t whole = std::min({keys.size(), static_cast<size_t>(sequence.length() / kBlock), most_});
  for (size_t i = whole; i-- > 0;) {
    if (auto found = by_key_.find(keys[i]); found != by_key_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      continue;
    }
    int32_t block = sequence.blocks()[i];
    forget(block);
    entries_.push_front({keys[i], block});
    by_key_[keys[i]] = by_block_[block] = entries_.begin();
    cache_.mark_known(block, true);
  }
  while (entries_.size() > most_) {
    int32_t last = entries_.back().block;
    forget(last);
    cache_.mark_known(last, false);
  }
}

}  // namespace nuri
