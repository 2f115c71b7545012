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
    found.push_back(cache.keys(layer).numbers[sequence.blocks()[i / 16]][1][i % 16][3].item<float>());
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

// What a cache of codes holds of the positions, as numbers: [K, positions, D] of layer 1.
at::Tensor decoded(KvCache& cache, const CachedSequence& sequence) {
  std::vector<int64_t> blocks(sequence.blocks().begin(), sequence.blocks().end());
  return ops::gather_paged(cache.keys(1), at::tensor(blocks, at::kLong), at::kFloat).narrow(1, 0, sequence.length());
}

TEST(KvCache, ForksOfCodesCarryTheirScales) {
  KvCache cache(kShape, 8, at::kBFloat16, at::kCPU, CacheType::int8);
  CachedSequence first(cache);
  append(cache, first, 20, 3);
  CachedSequence second = first.fork();
  append(cache, second, 1, 50);  // copies the half-full block
  append(cache, first, 1, -7);
  at::Tensor expected = at::full({2, 21, 4}, 3.0);
  expected.select(1, 20).fill_(50);
  EXPECT_TRUE(at::allclose(decoded(cache, second), expected));
  expected.select(1, 20).fill_(-7);
  EXPECT_TRUE(at::allclose(decoded(cache, first), expected));
  EXPECT_EQ(KvCache::bytes(kShape, 8, at::kBFloat16, CacheType::int8), 2 * 2 * 8 * 2 * 16 * (4 + 4));
  int64_t bytes = 0;
  for (int64_t layer = 0; layer < 2; ++layer)
    for (const auto* part : {&cache.keys(layer), &cache.values(layer)})
      bytes += static_cast<int64_t>(part->numbers.nbytes() + part->scales.nbytes());
  EXPECT_EQ(bytes, KvCache::bytes(kShape, 8, at::kBFloat16, CacheType::int8));
}

TEST(KvCache, KnownBlocksAreGivenOutLastAndCanBeTakenBack) {
  KvCache cache(kShape, 4, at::kFloat);
  std::vector<int32_t> told;
  cache.on_reuse([&](int32_t block) { told.push_back(block); });
  std::vector<int32_t> kept;
  {
    CachedSequence first(cache);
    append(cache, first, 40, 1);
    kept = first.blocks();
    for (int32_t block : {kept[0], kept[1]}) cache.mark_known(block, true);
  }
  EXPECT_EQ(cache.free_blocks(), 4);
  CachedSequence again(cache, {kept[0], kept[1]});
  EXPECT_EQ(again.length(), 32);
  EXPECT_EQ(contents(cache, again), pieces({{32, 1}}));
  EXPECT_EQ(cache.free_blocks(), 2);
  append(cache, again, 17, 2);
  EXPECT_EQ(cache.free_blocks(), 0);
  EXPECT_TRUE(told.empty());
  again = CachedSequence(cache);
  CachedSequence other(cache);
  append(cache, other, 33, 3);  // the third of its blocks was known, and the last of a sequence goes first
  EXPECT_EQ(told, std::vector{kept[1]});
  cache.mark_known(kept[0], false);
  append(cache, other, 16, 3);
  EXPECT_EQ(told, std::vector{kept[1]});
  EXPECT_EQ(cache.free_blocks(), 0);
}

TEST(KvCache, AKnownBlockThatIsWrittenAgainIsTold) {
  KvCache cache(kShape, 4, at::kFloat);
  std::vector<int32_t> told;
  cache.on_reuse([&](int32_t block) { told.push_back(block); });
  CachedSequence sequence(cache);
  append(cache, sequence, 32, 1);
  for (int32_t block : sequence.blocks()) cache.mark_known(block, true);
  sequence.truncate(20);
  EXPECT_TRUE(told.empty());
  append(cache, sequence, 1, 2);
  EXPECT_EQ(told, std::vector{sequence.blocks()[1]});
}

// Softmax attention of one row by its definition.
at::Tensor plain_attention(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                           const AttentionOptions& options, int64_t first) {
  int64_t heads = query.size(0), groups = heads / keys.size(1), total = keys.size(0);
  std::vector<at::Tensor> out;
  for (int64_t head = 0; head < heads; ++head) {
    auto seen = [&](const at::Tensor& all) {
      at::Tensor rows = all.select(1, head / groups);
      return at::cat({rows.narrow(0, 0, std::min(options.sinks, first)), rows.narrow(0, first, total - first)});
    };
    at::Tensor k = seen(keys), v = seen(values);
    at::Tensor scores = k.mv(query[head]) * options.scale;
    if (options.distance_bias.defined())
      for (int64_t i = 0; i < total - first; ++i)
        scores[i] += options.distance_bias[head][std::min(total - first - 1 - i, options.distance_bias.size(1) - 1)];
    out.push_back(at::softmax(scores, 0).matmul(v));
  }
  return at::cat(out);
}

AttentionOptions with_sinks(AttentionOptions options, int64_t sinks) {
  options.sinks = sinks;
  return options;
}

// Rows of type `rows`, of the cache's own unless given.
void expect_plain_attention(at::ScalarType dtype, double tolerance, CacheType type = CacheType::native,
                            std::optional<at::ScalarType> rows = {}) {
  const CacheShape shape{1, 2, 8};
  const at::ScalarType x_type = rows.value_or(dtype);
  KvCache cache(shape, 16, dtype, at::kCPU, type);
  at::Tensor keys = at::randn({2, 60, 2, 8}).to(x_type), values = at::randn({2, 60, 2, 8}).to(x_type);
  std::vector<CachedSequence> sequences(2, CachedSequence(cache));
  std::vector<int64_t> lengths{0, 0};
  // Pieces of several sequences together: prompts, single rows, and both.
  for (auto [first, second] : {std::pair{17, 33}, {1, 1}, {1, 5}, {13, 1}, {1, 1}}) {
    at::Tensor bias = at::randn({4, 9}).to(dtype);
    for (AttentionOptions options :
         {AttentionOptions{0.3, 0, 0, bias}, AttentionOptions{0.3, 7, 0, bias}, AttentionOptions{0.3, 0},
          AttentionOptions{0.3, 0, 20}, AttentionOptions{0.3, 9, 6}, with_sinks({0.3, 7}, 3),
          with_sinks({0.3, 0, 20}, 18), AttentionOptions{0.3, 7}}) {
      at::Tensor query = at::randn({first + second, 4, 8}).to(x_type);
      at::Tensor k = at::cat({keys[0].narrow(0, lengths[0], first), keys[1].narrow(0, lengths[1], second)});
      at::Tensor v = at::cat({values[0].narrow(0, lengths[0], first), values[1].narrow(0, lengths[1], second)});
      PagedCausalAttention context(cache, {{0, first, &sequences[0]}, {first, second, &sequences[1]}});
      at::Tensor out = context.attend(0, {query, k, v}, options);
      EXPECT_EQ(out.scalar_type(), x_type);
      for (int64_t row = 0; row < first + second; ++row) {
        int64_t which = row < first ? 0 : 1, seen = lengths[which] + (row < first ? row : row - first) + 1;
        int64_t first = options.window > 0 ? std::max<int64_t>(seen - options.window, 0) : 0;
        if (options.chunk > 0) first = std::max(first, (seen - 1) / options.chunk * options.chunk);
        at::Tensor expected = plain_attention(query[row].to(at::kFloat), keys[which].narrow(0, 0, seen).to(at::kFloat),
                                              values[which].narrow(0, 0, seen).to(at::kFloat), options, first);
        EXPECT_LT((out[row].to(at::kFloat) - expected).abs().max().item<double>(), tolerance) << row << " " << seen;
      }
      if (options.window != 7 || options.distance_bias.defined() || options.sinks > 0) continue;
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
  expect_plain_attention(at::kFloat, 4e-2, CacheType::int8);
  expect_plain_attention(at::kBFloat16, 6e-2, CacheType::int8);
  at::NoGradGuard no_gradients;
  expect_plain_attention(at::kBFloat16, 2e-2, CacheType::native, at::kFloat);
  expect_plain_attention(at::kHalf, 3e-3, CacheType::native, at::kFloat);
  expect_plain_attention(at::kBFloat16, 6e-2, CacheType::int8, at::kFloat);
}

TEST(DenseCausalAttention, SinksStandBesideTheWindow) {
  at::Tensor mask = at::ones({2, 9}, at::kLong);
  mask[1].narrow(0, 0, 2).zero_();
  DenseCausalAttention context(2, 9, mask);
  at::Tensor query = at::randn({18, 2, 4}), keys = at::randn({18, 1, 4}), values = at::randn({18, 1, 4});
  AttentionOptions options = with_sinks({0.5, 3}, 2);
  at::Tensor out = context.attend(0, {query, keys, values}, options);
  for (int64_t row = 0; row < 18; ++row) {
    int64_t start = row < 9 ? 0 : 11, index = row - start;  // of the first real token
    if (index < 0) continue;
    at::Tensor expected = plain_attention(query[row], keys.narrow(0, start, index + 1),
                                          values.narrow(0, start, index + 1), options, options.first_seen(index));
    EXPECT_LT((out[row] - expected).abs().max().item<double>(), 1e-5) << row;
  }
}

}  // namespace
}  // namespace nuri::nn
