#include "train/objectives/packed_sample.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace nuri {
namespace {

at::Tensor numbers(std::vector<int64_t> values) { return at::tensor(values, at::kLong); }

TEST(PackedSample, HidesTheTextsFromEachOther) {
  PackedSample two, one;
  two.add({10, 11}, false, 0);
  two.add({12}, false, 1);
  two.add({13}, true, 1);
  two.position = 2;
  two.add({14}, true, 2);
  one.add({20}, false, 0);
  NamedTensors batch = padded({two, one});
  EXPECT_TRUE(at::equal(batch.at("input_ids")[0], numbers({10, 11, 12, 13, 14})));
  EXPECT_TRUE(at::equal(batch.at("labels")[0], numbers({-100, -100, -100, 13, 14})));
  EXPECT_TRUE(at::equal(batch.at("position_ids")[0], numbers({0, 1, 2, 3, 2})));
  at::Tensor sees = batch.at("attention_mask")[0][0];
  at::Tensor expected = numbers({1, 0, 0, 0, 0,  //
                                 1, 1, 0, 0, 0,  //
                                 1, 1, 1, 0, 0,  //
                                 1, 1, 1, 1, 0,  //
                                 1, 1, 0, 0, 1});
  EXPECT_TRUE(at::equal(sees, expected.view({5, 5}).to(at::kBool))) << sees;
  // Behind the shorter row nothing is learned.
  EXPECT_TRUE(at::equal(batch.at("labels")[1], numbers({-100, -100, -100, -100, -100})));
  EXPECT_EQ(batch.at("attention_mask").sizes(), at::IntArrayRef({2, 1, 5, 5}));
}

}  // namespace
}  // namespace nuri
