#include "generate/prefix_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"

namespace nuri {
namespace {

constexpr nn::CacheShape kShape{1, 1, 4};

DecoderInput rows(int64_t count, int64_t seed) {
  at::manual_seed(seed);
  DecoderInput input;
  input.embeddings = at::randn({count, 6});
  return input;
}

BlockKeys keys_of(const DecoderInput& input) {
  BlockKeys keys;
  extend_keys(keys, input, at::kFloat);
  return keys;
}

// A sequence with so many positions written.
nn::CachedSequence written(nn::KvCache& cache, int64_t length) {
  nn::CachedSequence sequence(cache);
  sequence.reserve(length);
  sequence.advance(length);
  return sequence;
}

TEST(BlockKeys, StandForAllThatABlockRestsOn) {
  DecoderInput base = rows(40, 1);
  BlockKeys keys = keys_of(base);
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys, keys_of(rows(40, 1)));
  std::set<Digest::Value> firsts{keys[0]}, seconds{keys[1]};
  auto differs = [&](const DecoderInput& other, bool in_the_first) {
    BlockKeys found = keys_of(other);
    EXPECT_EQ(found[0] == keys[0], !in_the_first);
    if (in_the_first) {
      EXPECT_TRUE(firsts.insert(found[0]).second);
    }
    EXPECT_TRUE(seconds.insert(found[1]).second);
  };
  for (int64_t row : {0, 15, 16, 31}) {
    DecoderInput other = rows(40, 1);
    other.embeddings[row][5] += 1e-3;
    differs(other, row < 16);
  }
  DecoderInput later = rows(40, 1), placed = rows(40, 1), slotted = rows(40, 1), other_slot = rows(40, 1);
  later.shift = 3;
  differs(later, true);
  placed.positions = at::arange(40).expand({3, 40}).clone();
  EXPECT_EQ(keys_of(placed), keys);  // the same places, written in another way
  placed.positions[2][20] = 7;
  differs(placed, false);
  slotted.slots = std::make_shared<NamedTensors>(NamedTensors{{"states", at::ones({2, 2})}});
  differs(slotted, true);
  other_slot.slots = std::make_shared<NamedTensors>(NamedTensors{{"states", at::zeros({2, 2})}});
  differs(other_slot, true);
  DecoderInput last = rows(40, 1);
  last.embeddings[32].zero_();  // in no whole block
  EXPECT_EQ(keys_of(last), keys);
}

TEST(BlockKeys, GrowWithTheSequence) {
  DecoderInput whole = rows(70, 2), part = whole;
  BlockKeys keys;
  for (int64_t length : {5, 20, 33, 48, 70}) {
    part.embeddings = whole.embeddings.narrow(0, 0, length);
    extend_keys(keys, part, at::kFloat);
    EXPECT_EQ(keys.size(), static_cast<size_t>(length / 16));
  }
  EXPECT_EQ(keys, keys_of(whole));
}

TEST(PrefixCache, FindsTheLongestBeginning) {
  nn::KvCache cache(kShape, 12, at::kFloat);
  PrefixCache known(cache, 100);
  BlockKeys keys = keys_of(rows(64, 3)), other = keys_of(rows(64, 4));
  std::vector<int32_t> blocks;
  {
    nn::CachedSequence sequence = written(cache, 50);
    blocks = sequence.blocks();
    known.learn(keys, sequence);
  }
  EXPECT_EQ(known.known(), 3);  // the whole ones
  EXPECT_EQ(cache.free_blocks(), 12);
  nn::CachedSequence found = known.longest(keys);
  EXPECT_EQ(found.length(), 48);
  EXPECT_EQ(found.blocks(), std::vector(blocks.begin(), blocks.begin() + 3));
  EXPECT_EQ(cache.free_blocks(), 9);
  EXPECT_EQ(known.longest(std::span(keys).first(2)).length(), 32);
  EXPECT_EQ(known.longest(other).length(), 0);
  other.insert(other.begin(), keys[0]);
  EXPECT_EQ(known.longest(other).length(), 16);
  EXPECT_EQ(known.longest({}).length(), 0);
}

TEST(PrefixCache, GivesRoomToWhoeverNeedsItTheOldestFirst) {
  nn::KvCache cache(kShape, 6, at::kFloat);
  PrefixCache known(cache, 100);
  BlockKeys first = keys_of(rows(48, 5)), second = keys_of(rows(48, 6));
  known.learn(first, written(cache, 48));
  known.learn(second, written(cache, 48));
  EXPECT_EQ(known.known(), 6);
  { nn::CachedSequence used = known.longest(first); }
  nn::CachedSequence wide = written(cache, 64);  // takes the second's three, and the first's last
  EXPECT_EQ(known.longest(second).length(), 0);
  EXPECT_EQ(known.longest(first).length(), 32);
  EXPECT_EQ(known.known(), 2);
  nn::CachedSequence kept = known.longest(first);
  EXPECT_EQ(cache.free_blocks(), 0);
  EXPECT_THROW(written(cache, 1), Error);  // what is in use is not taken
  EXPECT_EQ(kept.length(), 32);
}

TEST(PrefixCache, KnowsSoManyBlocksAtMost) {
  nn::KvCache cache(kShape, 20, at::kFloat);
  PrefixCache known(cache, 4);
  BlockKeys first = keys_of(rows(48, 7)), second = keys_of(rows(48, 8)), long_one = keys_of(rows(96, 9));
  known.learn(first, written(cache, 48));
  nn::CachedSequence sequence = written(cache, 48);
  known.learn(second, sequence);
  EXPECT_EQ(known.known(), 4);
  EXPECT_EQ(known.longest(second).length(), 48);
  EXPECT_EQ(known.longest(first).length(), 16);  // its end was forgotten first
  known.learn(long_one, written(cache, 96));
  EXPECT_EQ(known.known(), 4);
  EXPECT_EQ(known.longest(long_one).length(), 64);
  EXPECT_EQ(sequence.length(), 48);
}

TEST(PrefixCache, TheSameAgainAddsNothing) {
  nn::KvCache cache(kShape, 8, at::kFloat);
  PrefixCache known(cache, 100);
  BlockKeys keys = keys_of(rows(32, 10));
  nn::CachedSequence first = written(cache, 32), second = written(cache, 32);
  known.learn(keys, first);
  known.learn(keys, second);
  EXPECT_EQ(known.known(), 2);
  EXPECT_EQ(known.longest(keys).blocks(), first.blocks());
}

TEST(PrefixCache, ForgetsWhatIsWrittenOver) {
  nn::KvCache cache(kShape, 8, at::kFloat);
  PrefixCache known(cache, 100);
  BlockKeys keys = keys_of(rows(32, 11));
  nn::CachedSequence sequence = written(cache, 32);
  known.learn(keys, sequence);
  sequence.truncate(30);
  sequence.reserve(1);
  EXPECT_EQ(known.longest(keys).length(), 16);
}

}  // namespace
}  // namespace nuri
