#include "nn/fixed_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace nuri::nn {
namespace {

constexpr CacheShape kShape{2, 2, 8};
constexpr int64_t kHeads = 6;

Qkv random_rows(int64_t count) {
  return {at::randn({count, kHeads, kShape.head_dim}), at::randn({count, kShape.kv_heads, kShape.head_dim}),
          at::randn({count, kShape.kv_heads, kShape.head_dim})};
}

// Two caches that hold the same sequences; nothing else in them is a number.
struct Twins {
  explicit Twins(CacheType type)
      : caches{{kShape, 24, at::kFloat, at::kCPU, type}, {kShape, 24, at::kFloat, at::kCPU, type}} {
    for (KvCache& cache : caches)
      for (int64_t layer = 0; layer < kShape.layers; ++layer)
        for (ops::PagedNumbers* part : {&cache.keys(layer), &cache.values(layer)})
          (part->scales.defined() ? part->scales : part->numbers).fill_(NAN);
  }
  void add(int64_t length) {
    Qkv rows = random_rows(length);
    for (int i = 0; i < 2; ++i) {
      CachedSequence& sequence = sequences[i].emplace_back(caches[i]);
      if (length == 0) continue;
      PagedCausalAttention context(caches[i], {{0, length, &sequence}});
      for (int64_t layer = 0; layer < kShape.layers; ++layer) context.attend(layer, rows, {});
      context.finish();
    }
  }
  FixedRows fixed(int64_t blocks) {
    std::vector<int64_t> indices, table;
    for (CachedSequence& sequence : sequences[1]) {
      sequence.reserve(1);
      indices.push_back(sequence.length());
      for (int64_t i = 0; i < blocks; ++i)
        table.push_back(i < std::ssize(sequence.blocks()) ? sequence.blocks()[static_cast<size_t>(i)] : 0);
    }
    return {at::tensor(indices, at::kLong), at::tensor(table, at::kLong).view({-1, blocks})};
  }
  KvCache caches[2];
  std::vector<CachedSequence> sequences[2];
};

TEST(FixedPagedAttention, IsThatOfPagedRows) {
  at::manual_seed(1);
  const AttentionOptions options[] = {{0.4}, {0.4, 20}, {0.4, 0, 16}, {0.4, 20, 0, {}, 3}, {0.4, 7, 32, {}, 1}};
  for (CacheType type : {CacheType::native, CacheType::int8})
    for (const AttentionOptions& option : options) {
      Twins twins(type);
      for (int64_t length : {0, 5, 15, 16, 37, 63}) twins.add(length);
      std::vector<StepSequence> step;
      for (CachedSequence& sequence : twins.sequences[0]) step.push_back({std::ssize(step), 1, &sequence});
      PagedCausalAttention expected(twins.caches[0], step);
      FixedPagedAttention found(twins.caches[1], twins.fixed(8));
      EXPECT_TRUE(found.indices().equal(expected.indices()));
      EXPECT_TRUE(found.extents().equal(expected.extents()));
      for (int64_t layer = 0; layer < kShape.layers; ++layer) {
        Qkv rows = random_rows(std::ssize(step));
        at::Tensor exact = expected.attend(layer, rows, option), same = found.attend(layer, rows, option);
        ASSERT_EQ(same.sizes(), exact.sizes());
        EXPECT_LT((same - exact).abs().max().item<double>(), 1e-5)
            << option.window << " " << option.chunk << " " << option.sinks << " " << static_cast<int>(type);
      }
    }
}

}  // namespace
}  // namespace nuri::nn
