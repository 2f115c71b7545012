#include "weights/stores.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "base/error.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class StoresTest : public testing::Test {
 protected:
  StoresTest() : folder_(fs::path(testing::TempDir()) / ("stores_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~StoresTest() override { fs::remove_all(folder_); }

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

  fs::path folder_;
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

TEST_F(StoresTest, ShapesAreBounded) {
  ShapeStore store(at::kHalf);
  EXPECT_EQ(store.take("w", {3, 5}, {}).sizes(), at::IntArrayRef({3, 5}));
  EXPECT_EQ(store.take("w", {}, {}).numel(), 1);
  int64_t large = int64_t{1} << 31;
  EXPECT_THROW(store.take("w", {large, large}, {}), Error);
  EXPECT_THROW(store.take("w", {large, large, large}, {}), Error);
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

}  // namespace
}  // namespace nuri
