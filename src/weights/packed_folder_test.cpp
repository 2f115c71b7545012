#include "weights/packed_folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_support.h"
#include "kernels/quantized.h"
#include "weights/packing.h"
#include "weights/stores.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

using kernels::Coding;
using testing::HasSubstr;

class PackedFolderTest : public testing::Test {
 protected:
  // A folder with the matrix `w` [20, 70], and the tensor `bias`.
  void write(Coding coding, const Json& config) {
    codes_ = pack_in_codes(numbers_, coding).value().bytes;
    write_tensors(folder_ / "model.safetensors", {{"w", codes_}, {"bias", at::ones({20}, at::kBFloat16)}});
    folder_.write("config.json", Json({{"quantization_config", config}}).dump());
  }
  static Json usual(Coding coding) { return packed_config({{"w", coding, at::kBFloat16, 20, 70}}); }
  std::string refusal(const Json& config) {
    write(Coding::int8_groups, config);
    return message_of([&] { CheckpointStore(folder_, {}, {}); });
  }

  at::Tensor numbers_ = at::randn({20, 70}).to(at::kBFloat16), codes_;
  TestFolder folder_;
};

TEST_F(PackedFolderTest, CodesAreUsedWhereTheFileIsMapped) {
  for (Coding coding : {Coding::int8_rows, Coding::int8_rotated, Coding::int8_groups, Coding::int4_groups,
                        Coding::int4_ranges, Coding::int4_steps, Coding::bfloat12}) {
    write(coding, usual(coding));
    // Names are canonical: nothing is renamed.
    auto store = std::make_shared<CheckpointStore>(folder_, NameRules{{{"w", "another"}}, {}}, LoadOptions{});
    WeightView weights(store);
    Matrix found = weights.matrix("w", 20, 70);
    ASSERT_EQ(found.coding, coding);
    EXPECT_TRUE(found.codes.equal(codes_));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(found.codes.const_data_ptr()) % 64, 0u);
    EXPECT_FALSE(found.codes.storage().resizable());  // a view of the file
    EXPECT_EQ(found.numbers.scalar_type(), at::kBFloat16);
    EXPECT_EQ(found.numbers.sizes(), at::IntArrayRef({20, 70}));
    EXPECT_TRUE(weights.matrix("w", 20, 70).codes.is_same(found.codes));
    // Where numbers are asked for, those that the codes mean.
    at::Tensor meant = store->take("w", {20, 70}, {});
    EXPECT_TRUE(meant.equal(numbers_of({coding, codes_, at::kBFloat16}, 20, 70)));
    EXPECT_LT((meant - numbers_).abs().max().item<float>(), 0.5);
  }
}

TEST_F(PackedFolderTest, ShapesAreCompared) {
  write(Coding::int8_groups, usual(Coding::int8_groups));
  CheckpointStore store(folder_, {}, {});
  EXPECT_THAT(message_of([&] { store.codes("w", 20, 71); }),
              HasSubstr("matrix w: found shape [20, 70], expected [20, 71]"));
  EXPECT_THAT(message_of([&] { store.expect_all_taken(); }), HasSubstr("w"));
}

TEST_F(PackedFolderTest, WhatDoesNotFit) {
  Json config = usual(Coding::int8_groups);
  config["version"] = 2;
  EXPECT_THAT(refusal(config), HasSubstr("version: found 2, expected 1"));
  config = usual(Coding::int8_groups);
  config["matrices"][0]["coding"] = "int3";
  EXPECT_THAT(refusal(config), HasSubstr("coding: found \"int3\""));
  config = usual(Coding::int8_groups);
  config["matrices"][0]["dtype"] = "int8";
  EXPECT_THAT(refusal(config), HasSubstr("dtype: found \"int8\""));
  EXPECT_THAT(refusal(usual(Coding::int4_groups)), HasSubstr("tensor w: found U8 of shape"));
  EXPECT_THAT(refusal(packed_config({{"v", Coding::int8_groups, at::kFloat, 20, 70}})), HasSubstr("shapes.v"));
  EXPECT_THAT(refusal(packed_config({{"bias", Coding::int8_groups, at::kFloat, 1, 1}})), HasSubstr("found BF16"));
  for (const char* shape : {"[20]", "[0, 70]", "[-20, 70]", "[4611686018427387904, 4]", "\"x\"", "[20.5, 70]"}) {
    config = usual(Coding::int8_groups);
    config["matrices"][0]["shapes"]["w"] = Json::parse(shape);
    EXPECT_THAT(refusal(config), HasSubstr("w: found")) << shape;
  }
  config = usual(Coding::int8_groups);
  config["matrices"].push_back(config["matrices"][0]);
  EXPECT_THAT(refusal(config), HasSubstr("each matrix once"));
  config["quant_method"] = "other";
  EXPECT_THAT(refusal(config), HasSubstr("quant_method: found \"other\""));
}

TEST_F(PackedFolderTest, AtAnOddAddressTheyAreCopied) {
  write(Coding::int8_groups, usual(Coding::int8_groups));
  write_tensors(folder_ / "model.safetensors", {{"a", at::ones({1})}, {"w", codes_}});
  CheckpointStore store(folder_, {}, {});
  auto found = store.codes("w", 20, 70);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->bytes.equal(codes_));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(found->bytes.const_data_ptr()) % 64, 0u);
}

}  // namespace
}  // namespace nuri
