#include "nn/cross_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace nuri::nn {
namespace {

constexpr int64_t kRows = 2, kSeen = 5, kHeads = 3, kWidth = 4;

std::vector<CrossMemory> random_memories(int64_t layers) {
  std::vector<CrossMemory> memories;
  for (int64_t layer = 0; layer < layers; ++layer)
    memories.push_back({at::randn({kRows, kSeen, kHeads, kWidth}), at::randn({kRows, kSeen, kHeads, kWidth})});
  return memories;
}

TEST(CrossAttention, SlotsGiveWhatTheBatchGives) {
  at::manual_seed(1);
  std::vector<CrossMemory> memories = random_memories(2);
  at::Tensor mask = at::tensor({1, 1, 1, 1, 1, 0, 1, 0, 1, 1}, at::kLong).view({kRows, kSeen});
  at::Tensor query = at::randn({kRows * 3, kHeads, kWidth});  // three rows each
  at::Tensor expected = DenseCrossAttention(memories, mask).attend(1, query, 0.3);

  KvCache cache({2, kHeads, kWidth}, 2, at::kFloat);
  std::vector<CachedSequence> sequences(kRows, CachedSequence(cache));
  for (int64_t row = 0; row < kRows; ++row)
    sequences[row].keep(std::make_shared<Slots>(cross_slots(memories, row, mask)));
  SlotCrossAttention slots({{0, 3, &sequences[0]}, {3, 3, &sequences[1]}});
  EXPECT_LT((slots.attend(1, query, 0.3) - expected).abs().max().item<double>(), 1e-6);
  EXPECT_EQ(sequences[0].slots()->at("cross.0.key").sizes(), at::IntArrayRef({kSeen, kHeads, kWidth}));
  EXPECT_EQ(sequences[1].slots()->at("cross.0.key").sizes(), at::IntArrayRef({3, kHeads, kWidth}));
}

TEST(CrossAttention, ASequenceWithoutSlotsSeesNothing) {
  at::manual_seed(1);
  std::vector<CrossMemory> memories = random_memories(1);
  KvCache cache({1, kHeads, kWidth}, 2, at::kFloat);
  std::vector<CachedSequence> sequences(2, CachedSequence(cache));
  sequences[1].keep(std::make_shared<Slots>(cross_slots(memories, 0, {})));
  SlotCrossAttention slots({{0, 1, &sequences[0]}, {1, 1, &sequences[1]}});
  at::Tensor out = slots.attend(0, at::randn({2, kHeads, kWidth}), 1.0);
  EXPECT_EQ(out[0].abs().sum().item<double>(), 0);
  EXPECT_GT(out[1].abs().sum().item<double>(), 0);
}

}  // namespace
}  // namespace nuri::nn
