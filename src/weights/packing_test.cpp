#include "weights/packing.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace nuri {
namespace {

using kernels::Coding;

TEST(Packing, WhichMatricesArePacked) {
  for (Coding coding : {Coding::int4_steps, Coding::int8_rotated}) {
    for (const char* name : {"model.layers.0.mlp.up_proj.weight", "model.layers.3.mlp.experts.gate_up_proj"})
      EXPECT_EQ(usual_coding(name, coding), coding) << name;
    for (const char* name : {"lm_head.weight", "model.embed_tokens.weight", "shared.weight",
                             "model.layers.0.mlp.gate.weight", "model.layers.0.feed_forward.router.weight"})
      EXPECT_EQ(usual_coding(name, coding), Coding::int8_rotated) << name;
    for (const char* name : {"vision_tower.layers.0.mlp.fc1.weight", "visual.blocks.0.mlp.up_proj.weight"})
      EXPECT_EQ(usual_coding(name, coding), std::nullopt) << name;
  }
}

TEST(Packing, OfEveryTypeAndOfTransposedViews) {
  at::manual_seed(4);
  for (auto type : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble}) {
    at::Tensor lying = at::randn({50, 40}).to(type), w = lying.t();
    WeightStore::Codes codes = round_to_codes(w, Coding::int8_groups);
    EXPECT_EQ(codes.dtype, type);
    at::Tensor error = numbers_of(codes, 40, 50).to(at::kDouble) - w.to(at::kDouble);
    EXPECT_LT(error.abs().max().item<double>(), 0.03);
  }
}

TEST(Packing, BFloat12IsExactOrNothing) {
  at::manual_seed(5);
  at::Tensor w = at::randn({40, 70}).to(at::kBFloat16);
  for (const at::Tensor& numbers : {w, w.t()}) {
    EXPECT_TRUE(fits_in_codes(numbers, Coding::bfloat12));
    auto codes = pack_in_codes(numbers, Coding::bfloat12);
    ASSERT_TRUE(codes.has_value());
    EXPECT_EQ(codes->dtype, at::kBFloat16);
    EXPECT_TRUE(numbers_of(*codes, numbers.size(0), numbers.size(1)).equal(numbers));
  }
  at::Tensor wide = w.clone();
  wide.select(0, 3).mul_(at::pow(2.0, -at::arange(70)));  // too different ones
  for (const at::Tensor& numbers : {w.to(at::kFloat), w.to(at::kHalf), wide}) {
    EXPECT_FALSE(fits_in_codes(numbers, Coding::bfloat12));
    EXPECT_FALSE(pack_in_codes(numbers, Coding::bfloat12).has_value());
    EXPECT_TRUE(fits_in_codes(numbers, Coding::int8_groups));
  }
}

TEST(Packing, PartsOfTensors) {
  at::Tensor all = at::arange(24).view({2, 3, 4});
  EXPECT_TRUE(cut(all, {"t", {2, 3, 4}, 1, 1, false}, 2).equal(all[1].narrow(0, 1, 2)));
  EXPECT_TRUE(cut(all, {"t", {2, 3, 4}, 1, 2, true}, 2).equal(all[1].t().narrow(0, 2, 2)));
}

}  // namespace
}  // namespace nuri
