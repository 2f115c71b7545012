#include "ops/weight_only.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/quantized.h"
#include "ops/kernel_access.h"
#include "ops/ops.h"

namespace nuri::ops {
namespace {

using kernels::Coding;

PackedWeight rounded(const at::Tensor& w, Coding coding) {
  PackedWeight packed{coding, w.size(0), w.size(1), {}};
  packed.bytes = at::empty({kernels::quantized_bytes(coding, packed.n, packed.k)}, at::kByte);
  kernels::quantize(coding, packed.n, packed.k, {w.const_data_ptr(), element_of(w), packed.k},
                    packed.bytes.mutable_data_ptr());
  return packed;
}

double distance(const at::Tensor& found, const at::Tensor& expected) {
  at::Tensor exact = expected.to(at::kDouble);
  return ((found.to(at::kDouble) - exact).abs().max() / exact.abs().max()).item<double>();
}

// 8 bits keep their scales; those of 4 bits have 8 bits of their own, and are multiplied in bfloat16.
double bound(Coding coding, at::ScalarType type) {
  return coding == Coding::int8_rows && type == at::kFloat ? 1e-5 : 1.5e-2;
}

TEST(WeightOnly, ProductsAreThoseOfTheNumbers) {
  at::manual_seed(1);
  for (Coding coding : {Coding::int8_rows, Coding::int4_groups, Coding::int4_ranges, Coding::int4_steps})
    for (auto [n, k] : {std::pair{16, 32}, {48, 96}, {112, 256}}) {
      PackedWeight packed = rounded(at::randn({n, k}) + 0.5, coding);
      auto form = to_weight_only(packed, at::kCPU);
      ASSERT_NE(form, nullptr);
      at::Tensor numbers = unpack(packed, at::empty({}, at::kDouble));
      EXPECT_LT(distance(unpack(*form, at::empty({}, at::kFloat)), numbers), 8e-3);
      for (at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf})
        for (const auto& shape : std::vector<std::vector<int64_t>>{{k}, {1, k}, {3, 5, k}, {2, 20, k}, {0, k}})
          for (bool with_bias : {false, true}) {
            at::Tensor x = at::randn(shape).to(type), bias = with_bias ? at::randn({n}).to(type) : at::Tensor();
            at::Tensor exact =
                at::linear(x.to(at::kDouble), numbers, with_bias ? std::optional(bias.to(at::kDouble)) : std::nullopt);
            const Factor factor{{}, bias, form};
            at::Tensor found = linears(x, {&factor, 1})[0];
            EXPECT_EQ(found.scalar_type(), type);
            ASSERT_EQ(found.sizes(), exact.sizes());
            if (found.numel() == 0) continue;
            EXPECT_LT(distance(found, exact), bound(coding, type))
                << n << " x " << k << " " << kernels::coding_name(coding) << " " << type;
          }
    }
}

TEST(WeightOnly, OddSizesHaveRowsOfEightBitsAlone) {
  at::manual_seed(2);
  for (auto [n, k] : {std::pair{17, 64}, {8, 32}, {16, 48}, {33, 70}, {1, 1}}) {
    at::Tensor w = at::randn({n, k});
    for (Coding coding : {Coding::int4_groups, Coding::int4_ranges, Coding::int4_steps, Coding::int8_groups})
      EXPECT_EQ(to_weight_only(rounded(w, coding), at::kCPU), nullptr) << n << " x " << k;
    PackedWeight packed = rounded(w, Coding::int8_rows);
    const Factor factor{{}, at::randn({n}), to_weight_only(packed, at::kCPU)};
    for (int64_t rows : {1, 3, 40}) {
      at::Tensor x = at::randn({rows, k});
      at::Tensor exact = at::linear(x, unpack(packed, x), factor.bias);
      EXPECT_LT(distance(linears(x, {&factor, 1})[0], exact), 1e-5) << n << " x " << k;
      EXPECT_LT(distance(linear_activated(x, factor, Activation::silu), at::silu(exact)), 1e-5);
    }
  }
}

TEST(WeightOnly, RowsAndGradients) {
  at::manual_seed(3);
  for (Coding coding : {Coding::int8_rows, Coding::int4_steps}) {
    PackedWeight packed = rounded(at::randn({32, 64}), coding);
    auto form = to_weight_only(packed, at::kCPU);
    at::Tensor numbers = unpack(packed, at::empty({})), ids = at::tensor({31, 0, 5, 5}, at::kLong).view({2, 2});
    EXPECT_LT(distance(unpack_rows(*form, ids, at::kFloat), at::embedding(numbers, ids)), 8e-3);
    at::Tensor x = at::randn({3, 64}).set_requires_grad(true);
    const Factor factor{{}, {}, form};
    linears(x, {&factor, 1})[0].sum().backward();
    EXPECT_LT(distance(x.grad(), numbers.sum(0).expand({3, 64})), 1e-2);
  }
}

}  // namespace
}  // namespace nuri::ops
