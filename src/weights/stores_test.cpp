#include "weights/stores.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <numeric>

#include "base/error.h"
#include "base/test_support.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class StoresTest : public testing::Test {
 protected:
  // One bfloat16 tensor `w` of zeros, as a file with a hole that takes no disk. `padding` spaces behind the header.
  bool write_sparse(int64_t elements, int padding = 0) {
    std::string header = R"({"w":{"dtype":"BF16","shape":[)" + std::to_string(elements) + R"(],"data_offsets":[0,)" +
                         std::to_string(2 * elements) + "]}}";
    header.resize((header.size() + 7) / 8 * 8 + padding, ' ');
    uint64_t length = header.size();
    char bytes[8];
    std::memcpy(bytes, &length, 8);
    std::string path = folder_ / "model.safetensors";
    std::ofstream(path, std::ios::binary).write(bytes, 8) << header;
    return ::truncate(path.c_str(), static_cast<off_t>(8 + length) + 2 * elements) == 0;
  }

  TestFolder folder_;
};

std::string refusal(const CheckpointStore& store) {
  try {
    store.expect_room();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::resource);
    return error.what();
  }
  return "";
}

TEST_F(StoresTest, RefusesAConversionThatMemoryCannotHold) {
  constexpr int64_t kElements = int64_t{1} << 40;
  if (!write_sparse(kElements)) GTEST_SKIP() << "this file system has no files of 2 TiB";
  std::string line = refusal(CheckpointStore(folder_, {}, {at::kFloat, at::kCPU}));
  EXPECT_THAT(line, HasSubstr("the weights: needs 4096.00 GiB (1099511627776 of them converted, 4 bytes each), found"));
  EXPECT_THAT(line, HasSubstr("available"));
  // As they are they need none, nor do shapes alone.
  EXPECT_EQ(refusal(CheckpointStore(folder_, {}, {{}, at::kCPU})), "");
  EXPECT_EQ(refusal(CheckpointStore(folder_, {}, {at::kBFloat16, at::kCPU})), "");
  CheckpointStore shapes(folder_, {}, {at::kFloat, at::kMeta});
  EXPECT_EQ(refusal(shapes), "");
  at::Tensor tensor = shapes.take("w", {kElements}, {});
  EXPECT_TRUE(tensor.is_meta());
  EXPECT_EQ(tensor.scalar_type(), at::kFloat);

  ASSERT_TRUE(write_sparse(kElements, 1));
  EXPECT_THAT(refusal(CheckpointStore(folder_, {}, {{}, at::kCPU})), HasSubstr("at odd addresses"));
}

TEST_F(StoresTest, NamesWithNumbersAreRenamedAndFusedWeightsTakenApart) {
  // [q q k v | q q k v]: two groups of heads, as InternLM2 keeps them.
  std::vector<float> fused(16), plain{1, 2, 3, 4, 5, 6};
  std::iota(fused.begin(), fused.end(), 0.0f);
  write_safetensors(folder_ / "model.safetensors", std::vector<TensorData>{
                                                       {"blocks.12.wqkv.weight", DType::F32, {8, 2}, fused.data()},
                                                       {"tower.3.qkv.weight", DType::F32, {6, 1}, plain.data()},
                                                       {"tower.3.qkv.bias", DType::F32, {6}, plain.data()},
                                                       {"tower.3.norm.bias", DType::F32, {6}, plain.data()},
                                                   });
  NameRules rules;
  rules.renames = {{"tower.*.norm.", "layers.*.layer_norm."}};
  rules.splits = {{"blocks.*.wqkv.", {"layers.*.q.", "layers.*.k.", "layers.*.v."}, 2, {2, 1, 1}},
                  {"tower.*.qkv.", {"tower.*.q.", "tower.*.k.", "tower.*.v."}}};
  CheckpointStore store(folder_, rules, {});
  auto values = [&](const char* name, at::IntArrayRef shape) {
    at::Tensor found = store.take(name, shape, {}).contiguous();
    return std::vector<float>(found.const_data_ptr<float>(), found.const_data_ptr<float>() + found.numel());
  };
  EXPECT_THAT(values("layers.12.q.weight", {4, 2}), testing::ElementsAre(0, 1, 2, 3, 8, 9, 10, 11));
  EXPECT_THAT(values("layers.12.k.weight", {2, 2}), testing::ElementsAre(4, 5, 12, 13));
  EXPECT_THAT(values("layers.12.v.weight", {2, 2}), testing::ElementsAre(6, 7, 14, 15));
  EXPECT_THAT(values("tower.3.k.weight", {2, 1}), testing::ElementsAre(3, 4));
  EXPECT_THAT(values("tower.3.v.bias", {2}), testing::ElementsAre(5, 6));
  EXPECT_THAT(values("layers.3.layer_norm.bias", {6}), testing::ElementsAreArray(plain));
  EXPECT_THROW(store.expect_all_taken(), Error);
  for (const char* name : {"tower.3.q.weight", "tower.3.v.weight"}) values(name, {2, 1});
  for (const char* name : {"tower.3.q.bias", "tower.3.k.bias"}) values(name, {2});
  store.expect_all_taken();
  rules.splits[0].groups = 3;
  EXPECT_THROW(CheckpointStore(folder_, rules, {}), Error);
}

TEST_F(StoresTest, OnlyWeightsThatAreReadWhereTheyLieMoveToLargePages) {
  ASSERT_TRUE(write_sparse(64));
  const auto moves = [&](const LoadOptions& options) {
    return static_cast<bool>(CheckpointStore(folder_, {}, options).large_pages());
  };
  EXPECT_TRUE(moves({{}, at::kCPU}));
  EXPECT_TRUE(moves({at::kBFloat16, at::kCPU}));
  EXPECT_FALSE(moves({at::kFloat, at::kCPU}));
  EXPECT_FALSE(moves({{}, at::kMeta}));
  LoadOptions coded;
  coded.coding = kernels::Coding::int8_rows;
  EXPECT_FALSE(moves(coded));
  // What was handed out outlives the store.
  auto work = CheckpointStore(folder_, {}, {}).large_pages();
  while (work()) {
  }
}

TEST_F(StoresTest, ShapesAreBounded) {
  ShapeStore store(at::kHalf);
  EXPECT_EQ(store.take("w", {3, 5}, {}).sizes(), at::IntArrayRef({3, 5}));
  EXPECT_EQ(store.take("w", {}, {}).numel(), 1);
  int64_t large = int64_t{1} << 31;
  EXPECT_THROW(store.take("w", {large, large}, {}), Error);
  EXPECT_THROW(store.take("w", {large, large, large}, {}), Error);
}

TEST_F(StoresTest, ANameIsRenamedAtItsBeginning) {
  ASSERT_TRUE(write_sparse(4));
  auto has = [&](Rename rename, const std::string& name) {
    return CheckpointStore(folder_, {{rename}, {}}, {{}, at::kCPU}).has(name);
  };
  EXPECT_TRUE(has({"", "a."}, "a.w"));
  EXPECT_TRUE(has({"w", "v"}, "v"));
  EXPECT_TRUE(has({"x", "v"}, "w"));
}

TEST_F(StoresTest, ATrainingStoreHasWhatItsCheckpointsHave) {
  ASSERT_TRUE(write_sparse(4));
  TrainingStore store(1);
  EXPECT_TRUE(store.has("part.w"));
  store.add(std::make_shared<CheckpointStore>(folder_, NameRules{}, LoadOptions{}), "", "part.");
  EXPECT_TRUE(store.has("part.w"));
  EXPECT_FALSE(store.has("part.v"));
  EXPECT_TRUE(store.has("other.v"));
}

TEST_F(StoresTest, ReadingAWeightTwiceTiesIt) {
  WeightView weights(std::make_shared<TrainingStore>(1));
  at::Tensor first = (weights / "a").get("w", {2, 3}), second = (weights / "a").get("w", {2, 3});
  EXPECT_TRUE(first.is_same(second));
  (weights / "b").get("w", {1});
  ASSERT_EQ(weights.ledger().size(), 2u);
  EXPECT_EQ(weights.ledger()[0].name, "a.w");
  EXPECT_EQ(weights.ledger()[1].name, "b.w");
}

TEST(AskedCoding, EightBitsAreRotatedWhereOurKernelsRun) {
  LoadOptions options;
  EXPECT_FALSE(asked_coding(options, "layers.0.mlp.up_proj.weight"));
  options.coding = kernels::Coding::int8_rotated;
  EXPECT_EQ(asked_coding(options, "layers.0.mlp.up_proj.weight"), kernels::Coding::int8_rotated);
  options.weight_only = true;
  EXPECT_EQ(asked_coding(options, "layers.0.mlp.up_proj.weight"), kernels::Coding::int8_rows);
  options.coding = kernels::Coding::int4_groups;
  EXPECT_EQ(asked_coding(options, "layers.0.mlp.up_proj.weight"), kernels::Coding::int4_groups);
}

}  // namespace
}  // namespace nuri
