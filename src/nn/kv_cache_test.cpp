#include "nn/kv_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace nuri::nn {
namespace {

constexpr CacheShape kShape{2, 2, 4};

// Appends `count` positions whose keys are `value`, as attention would.
void append(KvCache& cache, CachedSequence& sequence, int64_t count, float value) {
  at::Tensor rows = at::full({count, kShape.kv_heads, kShape.head_dim}, value);
  PagedCausalAttention context(cache, {{0, count, &sequence}});
  for (int64_t layer = 0; layer < kShape.layers; ++layer) context.attend(layer, {rows, rows, rows + 100}, {});
  context.finish();
}

// The first element of the key at each position.
std::vector<float> contents(KvCache& cache, const CachedSequence& sequence, int64_t layer = 1) {
  std::vector<float> found;
  for (int64_t i = 0; i < sequence.length(); ++i)
    found.push_back(cache.keys(layer)[sequence.blocks()[i / 16]][1][i % 16][3].item<float>());
  return found;
}

std::vector<float> pieces(std::initializer_list<std::pair<int, float>> runs) {
  std::vector<float> all;
  for (auto [count, value] : runs) all.insert(all.end(), count, value);
  return all;
}

TEST(KvCache, AForkSharesAllBlocksUntilOneWrites) {
  KvCache cache(kShape, 8, at::kFloat);
  CachedSequence first(cache);
  append(cache, first, 20, 1);
  CachedSequence second = first.fork();
  EXPECT_EQ(cache.free_blocks(), 6);
  EXPECT_EQ(&first.blocks(), &second.blocks());  // not even the table is copied

  append(cache, second, 3, 2);
  EXPECT_EQ(cache.free_blocks(), 5);                 // the half-full block was copied
  EXPECT_EQ(first.blocks()[0], second.blocks()[0]);  // the full one is shared
  EXPECT_EQ(cache.references(first.blocks()[0]), 2);
  EXPECT_NE(first.blocks()[1], second.blocks()[1]);
  append(cache, first, 1, 3);
  EXPECT_EQ(cache.free_blocks(), 5);  // nobody shares its last block any more
  EXPECT_EQ(contents(cache, first), pieces({{20, 1}, {1, 3}}));
  EXPECT_EQ(contents(cache, second), pieces({{20, 1}, {3, 2}}));
}

TEST(KvCache, AForkAtABlocksEndCopiesNothing) {
  KvCache cache(kShape, 8, at::kFloat);
  CachedSequence first(cache);
  append(cache, first, 32, 1);
  CachedSequence second = first.fork();
  append(cache, second, 1, 2);
  append(cache, first, 1, 3);
  EXPECT_EQ(cache.free_blocks(), 4);
  EXPECT_EQ(contents(cache, first), pieces({{32, 1}, {1, 3}}));
  EXPECT_EQ(contents(cache, second), pieces({{32, 1}, {1, 2}}));
}

TEST(KvCache, BlocksReservedBeforeAForkAreNotWrittenByBoth) {
  KvCache cache(kShape, 8, at::kFloat);
  CachedSequence first(cache);
  append(cache, first, 16, 1);
  first.reserve(1);  // and the step that wanted it failed
  CachedSequence second = first.fork();
  append(cache, second, 1, 2);
  append(cache, first, 1, 3);
  EXPECT_EQ(contents(cache, first), pieces({{16, 1}, {1, 3}}));
  EXPECT_EQ(contents(cache, second), pieces({{16, 1}, {1, 2}}));
}

TEST(KvCache, EveryBlockComesBack) {
  KvCache cache(kShape, 12, at::kFloat);
  {
    CachedSequence first(cache);
    append(cache, first, 40, 1);
    std::vector<CachedSequence> forks(4, first);
    for (size_t i = 0; i < forks.size(); ++i) append(cache, forks[i], 1 + static_cast<int64_t>(i), 2);
    EXPECT_EQ(cache.free_blocks(), 12 - 3 - 4);
    first = CachedSequence(cache);
    forks.erase(forks.begin() + 1, forks.end());
    EXPECT_EQ(cache.free_blocks(), 12 - 3);
    EXPECT_EQ(contents(cache, forks[0]), pieces({{40, 1}, {1, 2}}));
  }
  EXPECT_EQ(cache.free_blocks(), 12);
}

TEST(KvCache, TruncatedSequencesGiveBlocksBackAndGoOn) {
  KvCache cache(kShape, 8, at::kFloat);
  CachedSequence first(cache);
  append(cache, first, 40, 1);
  CachedSequence second = first.fork();
  second.truncate(18);
  EXPECT_EQ(second.length(), 18);
  EXPECT_EQ(cache.free_blocks(), 5);
  append(cache, second, 1, 2);
  EXPECT_EQ(contents(cache, second), pieces({{18, 1}, {1, 2}}));
  EXPECT_EQ(contents(cache, first), pieces({{40, 1}}));
  first.truncate(0);
  EXPECT_EQ(cache.free_blocks(), 6);  // the first block is still the other's
  second.truncate(100);
  EXPECT_EQ(second.length(), 19);
}

TEST(KvCache, AFullCacheRefusesAndLeavesTheSequenceAlone) {
  KvCache cache(kShape, 2, at::kFloat);
  CachedSequence first(cache);
  append(cache, first, 20, 1);
  CachedSequence second = first.fork();
  EXPECT_EQ(second.blocks_to_reserve(1), 1);
  EXPECT_THROW(second.reserve(1), Error);  // no block for the copy
  EXPECT_THROW(first.reserve(13), Error);
  EXPECT_EQ(second.length(), 20);
  EXPECT_EQ(contents(cache, first), pieces({{20, 1}}));
  try {
    second.reserve(20);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::resource);
    EXPECT_STREQ(error.what(),
                 "the key-value cache is full: 2 more blocks of 16 positions are needed, 0 of 2 are free");
  }
  second = CachedSequence(cache);
  append(cache, first, 12, 2);  // now it fits
  EXPECT_EQ(contents(cache, first), pieces({{20, 1}, {12, 2}}));
}

// Softmax attention of one row by its definition.
at::Tensor plain_attention(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                           const AttentionOptions& options, int64_t first) {
  int64_t heads = query.size(0), groups = heads / keys.size(1), total = keys.size(0);
  std::vector<at::Tensor> out;
  for (int64_t head = 0; head < heads; ++head) {
    at::Tensor k = keys.select(1, head / groups).narrow(0, first, total - first);
    at::Tensor v = values.select(1, head / groups).narrow(0, first, total - first);
    at::Tensor scores = k.mv(query[head]) * options.scale;
    if (options.distance_bias.defined())
      for (int64_t i = 0; i < total - first; ++i)
        scores[i] += options.distance_bias[head][std::min(total - first - 1 - i, options.distance_bias.size(1) - 1)];
    out.push_back(at::softmax(scores, 0).matmul(v));
  }
  return at::cat(out);
}

void expect_plain_attention(at::ScalarType dtype, double tolerance) {
  const CacheShape shape{1, 2, 8};
  KvCache cache(shape, 16, dtype);
  at::Tensor keys = at::randn({2, 60, 2, 8}).to(dtype), values = at::randn({2, 60, 2, 8}).to(dtype);
  std::vector<CachedSequence> sequences(2, CachedSequence(cache));
  std::vector<int64_t> lengths{0, 0};
  // Pieces of several sequences together: prompts, single rows, and both.
  for (auto [first, second] : {std::pair{17, 33}, {1, 1}, {1, 5}, {13, 1}, {1, 1}}) {
    at::Tensor bias = at::randn({4, 9}).to(dtype);
    for (AttentionOptions options :
         {AttentionOptions{0.3, 0, 0, bias}, AttentionOptions{0.3, 7, 0, bias}, AttentionOptions{0.3, 0},
          AttentionOptions{0.3, 0, 20}, AttentionOptions{0.3, 9, 6}, AttentionOptions{0.3, 7}}) {
      at::Tensor query = at::randn({first + second, 4, 8}).to(dtype);
      at::Tensor k = at::cat({keys[0].narrow(0, lengths[0], first), keys[1].narrow(0, lengths[1], second)});
      at::Tensor v = at::cat({values[0].narrow(0, lengths[0], first), values[1].narrow(0, lengths[1], second)});
      PagedCausalAttention context(cache, {{0, first, &sequences[0]}, {first, second, &sequences[1]}});
      at::Tensor out = context.attend(0, {query, k, v}, options);
      for (int64_t row = 0; row < first + second; ++row) {
        int64_t which = row < first ? 0 : 1, seen = lengths[which] + (row < first ? row : row - first) + 1;
        int64_t first = options.window > 0 ? std::max<int64_t>(seen - options.window, 0) : 0;
        if (options.chunk > 0) first = std::max(first, (seen - 1) / options.chunk * options.chunk);
        at::Tensor expected = plain_attention(query[row].to(at::kFloat), keys[which].narrow(0, 0, seen).to(at::kFloat),
                                              values[which].narrow(0, 0, seen).to(at::kFloat), options, first);
        EXPECT_LT((out[row].to(at::kFloat) - expected).abs().max().item<double>(), tolerance) << row << " " << seen;
      }
      if (options.window != 7 || options.distance_bias.defined()) continue;
      context.finish();
      lengths[0] += first;
      lengths[1] += second;
    }
  }
}

TEST(DenseCausalAttention, ChunksBeginWithTheFirstRealToken) {
  at::Tensor mask = at::ones({2, 7}, at::kLong);
  mask[1].narrow(0, 0, 2).zero_();
  DenseCausalAttention context(2, 7, mask);
  at::Tensor query = at::randn({14, 2, 4}), keys = at::randn({14, 1, 4}), values = at::randn({14, 1, 4});
  at::Tensor out = context.attend(0, {query, keys, values}, AttentionOptions{0.5, 0, 3});
  for (int64_t row = 0; row < 14; ++row) {
    int64_t start = row < 7 ? 0 : 9, first = start + (row - start) / 3 * 3;
    if (row == 7 || row == 8) continue;  // padding
    at::Tensor expected = plain_attention(query[row], keys.narrow(0, first, row + 1 - first),
                                          values.narrow(0, first, row + 1 - first), AttentionOptions{0.5}, 0);
    EXPECT_LT((out[row] - expected).abs().max().item<double>(), 1e-5) << row;
  }
}

TEST(PagedCausalAttention, IsAttentionToAllThatTheSequenceHolds) {
  at::manual_seed(1);
  expect_plain_attention(at::kFloat, 1e-5);
  expect_plain_attention(at::kBFloat16, 3e-2);
  expect_plain_attention(at::kHalf, 4e-3);
}

}  // namespace
}  // namespace nuri::nn
