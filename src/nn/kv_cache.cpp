#include "nn/kv_cache.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace nuri::nn {

KvCache::KvCache(const CacheShape& shape, int64_t blocks, at::ScalarType dtype, at::Device device, CacheType type)
    : dtype_(dtype), references_(blocks, 0), known_(blocks, false), places_(blocks) {
  bool coded = type == CacheType::int8;
  auto options = at::TensorOptions().dtype(coded ? at::kChar : dtype).device(device);
  auto part = [&] {
    ops::PagedNumbers part{at::empty({blocks, shape.kv_heads, kBlock, shape.head_dim}, options), {}};
    if (coded) part.scales = at::empty({blocks, shape.kv_heads, kBlock}, options.dtype(at::kFloat));
    return part;
  };
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    keys_.push_back(part());
    values_.push_back(part());
  }
  for (int64_t block = 0; block < blocks; ++block)
    places_[block] = free_.insert(free_.end(), static_cast<int32_t>(block));
}

int32_t KvCache::allocate() {
  if (free_.empty())
    throw Error(ErrorKind::resource,
                fmt::format("the key-value cache is full: all {} blocks of {} positions are in use", blocks(), kBlock));
  int32_t block = free_.front();
  prepare_write(block);
  retain(block);
  return block;
}

void KvCache::prepare_write(int32_t block) {
  if (!known_[block]) return;
  known_[block] = false;
  if (on_reuse_) on_reuse_(block);
}

void KvCache::retain(int32_t block) {
  if (references_[block]++ == 0) free_.erase(places_[block]);
}

void KvCache::release(int32_t block) {
  if (--references_[block] == 0) places_[block] = free_.insert(known_[block] ? free_.end() : free_.begin(), block);
}

void KvCache::mark_known(int32_t block, bool known) {
  known_[block] = known;
  if (references_[block] == 0) free_.splice(known ? free_.end() : free_.begin(), free_, places_[block]);
}

int32_t KvCache::copy(int32_t block) {
  int32_t fresh = allocate();
  for (auto* parts : {&keys_, &values_})
    for (ops::PagedNumbers& part : *parts) {
      part.numbers[fresh].copy_(part.numbers[block]);
      if (part.scales.defined()) part.scales[fresh].copy_(part.scales[block]);
    }
  return fresh;
}

int64_t KvCache::bytes(const CacheShape& shape, int64_t blocks, at::ScalarType dtype, CacheType type) {
  int64_t head = type == CacheType::int8 ? shape.head_dim + static_cast<int64_t>(sizeof(float))
                                         : shape.head_dim * static_cast<int64_t>(c10::elementSize(dtype));
  return 2 * shape.layers * blocks * shape.kv_heads * kBlock * head;
}

struct CachedSequence::Table {
  explicit Table(KvCache& cache) : cache(cache) {}
  Table(const Table& other) : cache(other.cache), blocks(other.blocks) {
    for (int32_t block : blocks) cache.retain(block);
  }
  ~Table() {  // the last one first: a block is of no use without those in front of it
    for (size_t i = blocks.size(); i-- > 0;) cache.release(blocks[i]);
  }
  KvCache& cache;
  std::vector<int32_t> blocks;
};

CachedSequence::CachedSequence(KvCache& cache) : table_(std::make_shared<Table>(cache)) {}

CachedSequence::CachedSequence(KvCache& cache, std::vector<int32_t> blocks) : CachedSequence(cache) {
  for (int32_t block : blocks) cache.retain(block);
  length_ = static_cast<int64_t>(blocks.size()) * KvCache::kBlock;
  table_->blocks = std::move(blocks);
}

const std::vector<int32_t>& CachedSequence::blocks() const { return table_->blocks; }

CachedSequence::Table& CachedSequence::own_table() {
  if (table_.use_count() > 1) table_ = std::make_shared<Table>(*table_);
  return *table_;
}

// Blocks from the first that would be written are shared when another table holds them, or another sequence this
// table. That may be more than the last one: blocks can be reserved and not yet written when a fork is taken.
int64_t CachedSequence::blocks_to_reserve(int64_t count) const {
  if (count <= 0) return 0;
  const auto& blocks = table_->blocks;
  int64_t held = static_cast<int64_t>(blocks.size());
  int64_t needed = std::max<int64_t>(KvCache::blocks_for(length_ + count) - held, 0);
  for (int64_t i = length_ / KvCache::kBlock; i < held; ++i)
    needed += table_.use_count() > 1 || table_->cache.references(blocks[i]) > 1;
  return needed;
}

void CachedSequence::reserve(int64_t count) {
  if (count <= 0) return;
  KvCache& cache = table_->cache;
  if (int64_t needed = blocks_to_reserve(count); needed > cache.free_blocks())
    throw Error(ErrorKind::resource,
                fmt::format("the key-value cache is full: {} more blocks of {} positions are needed, {} of {} are free",
                            needed, KvCache::kBlock, cache.free_blocks(), cache.blocks()));
  auto& blocks = own_table().blocks;
  for (int64_t i = length_ / KvCache::kBlock; i < static_cast<int64_t>(blocks.size()); ++i) {
    if (cache.references(blocks[i]) == 1) {
      cache.prepare_write(blocks[i]);
      continue;
    }
    bool written = i * KvCache::kBlock < length_;
    int32_t fresh = written ? cache.copy(blocks[i]) : cache.allocate();
    cache.release(std::exchange(blocks[i], fresh));
  }
  int64_t wanted = KvCache::blocks_for(length_ + count);
  while (static_cast<int64_t>(blocks.size()) < wanted) blocks.push_back(cache.allocate());
}

void CachedSequence::truncate(int64_t length) {
  length_ = std::min(length_, length);
  auto& table = own_table();
  while (static_cast<int64_t>(table.blocks.size()) > KvCache::blocks_for(length_)) {
    table.cache.release(table.blocks.back());
    table.blocks.pop_back();
  }
}

namespace {

bool goes_by_rows(const StepSequence& piece) { return piece.count == 1 || piece.extent < 0; }

int64_t left_out(const CachedSequence& sequence) {
  if (sequence.slots() == nullptr) return 0;
  auto found = sequence.slots()->find(kPaddingSlot);
  return found == sequence.slots()->end() ? 0 : found->second.item<int64_t>();
}

}  // namespace

PagedCausalAttention::PagedCausalAttention(KvCache& cache, std::vector<StepSequence> sequences)
    : cache_(cache), sequences_(std::move(sequences)) {
  std::vector<int64_t> blocks, offsets, extents, indices;
  for (const auto& piece : sequences_) {
    piece.sequence->reserve(piece.count);
    int64_t start = piece.sequence->length(), padding = left_out(*piece.sequence);
    for (int64_t position = start; position < start + piece.count; ++position) {
      blocks.push_back(piece.sequence->blocks()[position / KvCache::kBlock]);
      offsets.push_back(position % KvCache::kBlock);
      indices.push_back(padding + position);
      extents.push_back(piece.extent < 0 ? position + 1 : std::max(piece.extent, start + piece.count));
    }
  }
  at::Device device = cache.keys(0).numbers.device();
  block_of_row_ = at::tensor(blocks, at::kLong).to(device);
  offset_of_row_ = at::tensor(offsets, at::kLong).to(device);
  extents_ = at::tensor(extents, at::kLong).to(device);
  indices_ = at::tensor(indices, at::kLong).to(device);
}

at::Tensor PagedCausalAttention::attend(int64_t layer, const Qkv& qkv, const AttentionOptions& options) {
  ops::store_paged(qkv.key, block_of_row_, offset_of_row_, cache_.keys(layer));
  ops::store_paged(qkv.value, block_of_row_, offset_of_row_, cache_.values(layer));
  bool paged =
      !options.distance_bias.defined() && ops::can_attend_paged(qkv.query, cache_.keys(layer), cache_.values(layer));
  if (sequences_.size() == 1 && !(paged && goes_by_rows(sequences_[0])))
    return attend_gathered(layer, sequences_[0], qkv, options);
  at::Tensor out = at::empty({qkv.query.size(0), qkv.query.size(1) * qkv.query.size(2)}, qkv.query.options());
  if (paged) attend_single_rows(layer, qkv, options, out);
  for (const auto& piece : sequences_)
    if (!paged || !goes_by_rows(piece))
      out.narrow(0, piece.begin, piece.count).copy_(attend_gathered(layer, piece, qkv, options));
  return out;
}

void PagedCausalAttention::attend_single_rows(int64_t layer, const Qkv& qkv, const AttentionOptions& options,
                                              at::Tensor& out) {
  std::vector<ops::PagedRow> rows;
  for (const auto& piece : sequences_) {
    if (!goes_by_rows(piece)) continue;
    for (int64_t i = 0; i < piece.count; ++i) {
      int64_t index = piece.sequence->length() + i;
      rows.push_back(
          {piece.begin + i, piece.sequence->blocks().data(), index + 1, options.first_seen(index), options.sinks});
    }
  }
  if (!rows.empty())
    ops::paged_attention(qkv.query, cache_.keys(layer), cache_.values(layer), rows, options.scale, out);
}

at::Tensor PagedCausalAttention::attend_gathered(int64_t layer, const StepSequence& piece, const Qkv& qkv,
                                                 const AttentionOptions& options) {
  int64_t past = piece.sequence->length(), total = past + piece.count;
  // Nothing before it is seen.
  int64_t first = options.sinks > 0 ? 0 : options.first_seen(past) / KvCache::kBlock * KvCache::kBlock;
  auto heads_first = [&](const at::Tensor& rows) {  // [N, heads, D] -> [1, heads, count, D]
    return rows.narrow(0, piece.begin, piece.count).transpose(0, 1).unsqueeze(0);
  };
  auto gather = [&](const ops::PagedNumbers& cached) {  // -> [1, K, total - first, D]
    const auto& blocks = piece.sequence->blocks();
    std::vector<int64_t> used(blocks.begin() + first / KvCache::kBlock, blocks.begin() + KvCache::blocks_for(total));
    at::Tensor chosen = at::tensor(used, at::kLong).to(cached.numbers.device());
    return ops::gather_paged(cached, chosen, cache_.dtype()).unsqueeze(0).narrow(2, 0, total - first);
  };
  // At a prompt's beginning all lies in the step.
  at::Tensor key = past == 0 ? as_kept(heads_first(qkv.key), cache_.dtype()) : gather(cache_.keys(layer));
  at::Tensor value = past == 0 ? as_kept(heads_first(qkv.value), cache_.dtype()) : gather(cache_.values(layer));
  at::Tensor mask;
  std::vector<int64_t> first_seen;
  bool biased = options.distance_bias.defined(), sees_all = options.first_seen(total - 1) == 0;
  if (biased || (!sees_all && options.sinks > 0)) {
    mask = options.seen(past, piece.count).narrow(1, first, total - first).contiguous().to(qkv.query.device());
    mask = mask.view({1, 1, piece.count, total - first});
    if (biased) mask = with_distance_bias(mask, options.distance_bias);
  } else if (!sees_all) {
    for (int64_t position = past; position < total; ++position)
      first_seen.push_back(options.first_seen(position) - first);
  }
  at::Tensor out =
      ops::attention(heads_first(qkv.query), key, value, mask, /*causal=*/!mask.defined(), options.scale, first_seen);
  return out.squeeze(0).transpose(0, 1).reshape({piece.count, -1});
}

std::vector<SequenceRows> PagedCausalAttention::sequences() const {
  std::vector<SequenceRows> rows;
  for (const auto& piece : sequences_)
    rows.push_back({piece.begin, piece.count, piece.sequence->length(), piece.sequence->slots()});
  return rows;
}

void PagedCausalAttention::finish() {
  for (const auto& piece : sequences_) piece.sequence->advance(piece.count);
}

}  // namespace nuri::nn
