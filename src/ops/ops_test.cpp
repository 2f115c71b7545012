#include "ops/ops.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/bfloat12.h"
#include "kernels/cpu.h"
#include "kernels/quantized.h"
#include "kernels/tile_product.h"
#include "ops/kernel_access.h"
#include "ops/packed.h"

namespace nuri::ops {
namespace {

std::shared_ptr<const PackedWeight> pack(const at::Tensor& weight, kernels::Coding coding) {
  at::Tensor w = weight.contiguous();
  int64_t n = w.size(0), k = w.size(1);
  auto packed = std::make_shared<PackedWeight>(
      PackedWeight{coding, n, k, at::empty({kernels::quantized_bytes(coding, n, k)}, at::kByte), {}, w.scalar_type()});
  if (coding == kernels::Coding::bfloat12) {
    at::Tensor exact = w.to(at::kBFloat16);
    EXPECT_TRUE(kernels::pack_bfloat12(n, k, {exact.const_data_ptr(), kernels::Element::bfloat16, k},
                                       packed->bytes.mutable_data_ptr()));
  } else {
    kernels::quantize(coding, n, k, {w.const_data_ptr(), element_of(w), k}, packed->bytes.mutable_data_ptr());
  }
  return packed;
}

double relative_error(const at::Tensor& found, const at::Tensor& expected) {
  at::Tensor exact = expected.to(at::kDouble);
  return ((found.to(at::kDouble) - exact).abs().max() / exact.abs().max()).item<double>();
}

// Every path of linear: few rows, many, with and without a bias, odd sizes, leading dimensions.
TEST(Linear, IsTheProductInEveryType) {
  at::manual_seed(3);
  for (auto [type, tolerance] : {std::pair{at::kFloat, 1e-5}, {at::kBFloat16, 1e-2}, {at::kHalf, 1e-3}})
    for (const auto& shape : std::vector<std::vector<int64_t>>{{1, 33}, {16, 33}, {17, 33}, {2, 3, 5, 33}, {33}})
      for (int64_t outputs : {1, 70, 300})
        for (bool with_bias : {false, true}) {
          at::Tensor x = at::randn(shape).to(type), weight = at::randn({outputs, 33}).to(type);
          at::Tensor bias = with_bias ? at::randn({outputs}).to(type) : at::Tensor();
          at::Tensor exact = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
          if (with_bias) exact = exact + bias.to(at::kDouble);
          at::Tensor found = ops::linear(x, weight, bias);
          EXPECT_EQ(found.scalar_type(), type);
          EXPECT_EQ(found.sizes(), exact.sizes());
          EXPECT_LT(relative_error(found, exact), tolerance) << at::IntArrayRef(shape) << " " << outputs << " " << type;
        }
}

TEST(Linear, ActivatedInOnePassIsItsFormula) {
  at::manual_seed(4);
  for (auto [type, tolerance] : {std::pair{at::kFloat, 1e-5}, {at::kBFloat16, 1.5e-2}, {at::kHalf, 2e-3}})
    for (const auto& shape : std::vector<std::vector<int64_t>>{{3, 33}, {40, 33}, {2, 19, 33}})
      for (Activation activation : {Activation::gelu, Activation::gelu_tanh, Activation::quick_gelu, Activation::relu,
                                    Activation::silu, Activation::tanh})
        for (bool with_bias : {false, true}) {
          at::Tensor x = at::randn(shape).to(type), weight = at::randn({70, 33}).to(type);
          at::Tensor bias = with_bias ? at::randn({70}).to(type) : at::Tensor();
          at::Tensor exact = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
          if (with_bias) exact = exact + bias.to(at::kDouble);
          at::Tensor found = ops::linear_activated(x, {weight, bias}, activation);
          EXPECT_EQ(found.scalar_type(), type);
          EXPECT_LT(relative_error(found, activate(exact, activation)), tolerance)
              << at::IntArrayRef(shape) << " " << static_cast<int>(activation) << " " << type;
        }
  at::Tensor x = at::randn({40, 8}).to(at::kBFloat16), weight = at::randn({8, 8}).to(at::kBFloat16);
  EXPECT_TRUE(ops::linear_activated(x, {weight.set_requires_grad(true), {}}, Activation::gelu).requires_grad());
}

TEST(Linear, AddedAndGatedInOnePassAreTheirFormulas) {
  at::manual_seed(6);
  const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
  for (auto [type, tolerance] : {std::pair{at::kFloat, 1e-5}, {at::kBFloat16, 1.5e-2}, {at::kHalf, 2e-3}})
    for (const auto& shape : std::vector<std::vector<int64_t>>{{3, 64}, {40, 64}, {2, 19, 64}}) {
      at::Tensor x = at::randn(shape).to(type), bias = at::randn({96}).to(type);
      Factor gate{at::randn({96, 64}).to(type), bias}, up{at::randn({96, 64}).to(type), {}};
      std::vector<int64_t> whole = shape;
      whole.back() = 96;
      at::Tensor product = at::linear(wide(x), wide(gate.weight), wide(bias));
      for (const at::Tensor& other : {at::randn(whole).to(type), at::randn({96}).to(type)}) {
        at::Tensor found = ops::linear_added(x, gate, other);
        EXPECT_EQ(found.scalar_type(), type);
        EXPECT_LE(relative_error(found, product + wide(other)), tolerance) << at::IntArrayRef(shape) << " " << type;
      }
      for (Activation activation : {Activation::silu, Activation::gelu_tanh, Activation::tanh})
        EXPECT_LE(relative_error(ops::linear_gated(x, gate, up, activation),
                                 activate(product, activation) * at::linear(wide(x), wide(up.weight))),
                  2 * tolerance)
            << at::IntArrayRef(shape) << " " << type << " " << static_cast<int>(activation);
    }
  at::Tensor x = at::randn({40, 64}), other = at::randn({40, 96}).set_requires_grad(true);
  EXPECT_EQ(ops::linear_added(at::empty({0, 64}), {at::randn({96, 64}), {}}, at::empty({0, 96})).size(1), 96);
  Factor factor{at::randn({96, 64}), {}}, packed{{}, {}, pack(factor.weight, kernels::Coding::int8_groups)};
  EXPECT_TRUE(ops::linear_added(x, factor, other).requires_grad());
  EXPECT_LT(relative_error(ops::linear_added(x, packed, other.detach()), at::linear(x, factor.weight) + other.detach()),
            2e-2);
  for (const Factor& gate : {factor, packed})  // also of another kind than what it gates
    EXPECT_LT(relative_error(ops::linear_gated(x, gate, packed, Activation::silu),
                             at::silu(at::linear(x, factor.weight)) * at::linear(x, factor.weight)),
              3e-2);
}

TEST(Linear, ManyBlocksOfAWideWeight) {
  at::Tensor x = at::randn({17, 30000}).to(at::kBFloat16), weight = at::randn({300, 30000}).to(at::kBFloat16);
  EXPECT_LT(relative_error(ops::linear(x, weight), at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t())), 1e-2);
}

TEST(Linear, ViewsAndEmptyInputsWork) {
  at::Tensor all = at::randn({6, 40}), weight = at::randn({10, 20});
  at::Tensor view = all.narrow(1, 20, 20);
  EXPECT_LT(relative_error(ops::linear(view, weight), view.matmul(weight.t())), 1e-5);
  at::Tensor slanted = at::randn({20, 10}).t();
  EXPECT_LT(relative_error(ops::linear(view, slanted), view.matmul(slanted.t())), 1e-5);
  EXPECT_EQ(ops::linear(at::zeros({0, 20}), weight).sizes(), (at::IntArrayRef{0, 10}));
}

// Rows of x are rounded to 8 bits: a code is at most half a step of 1/127 off.
TEST(Linear, PackedWeightsMultiplyAsTheirNumbers) {
  using kernels::Coding;
  for (Coding coding : {Coding::int8_rows, Coding::int8_rotated, Coding::int8_groups, Coding::int4_groups,
                        Coding::int4_ranges, Coding::int4_steps, Coding::bfloat12})
    for (at::ScalarType type : {at::kFloat, at::kBFloat16})
      for (int64_t rows : {1, 9, 40}) {
        at::manual_seed(rows);
        constexpr int64_t kWidth = 270;  // so that a rotation does something
        at::Tensor x = at::randn({2, rows, kWidth}).to(type), bias = at::randn({129}).to(type);
        auto wide = pack(at::randn({129, kWidth}).to(type), coding);
        auto narrow = pack(at::randn({3, kWidth}).to(type), coding);
        const std::vector<Factor> factors{{{}, bias, wide}, {{}, {}, narrow}};
        auto found = ops::linears(x, factors);
        ASSERT_EQ(found.size(), 2u);
        at::Tensor exact =
            at::linear(x.to(at::kDouble), unpack(*wide, at::empty({}, at::kDouble)), bias.to(at::kDouble));
        EXPECT_EQ(found[0].scalar_type(), type);
        EXPECT_LT(relative_error(found[0], exact), 2e-2) << rows << " " << type;
        EXPECT_TRUE(at::equal(found[1], ops::linears(x, {&factors[1], 1})[0]));
      }
}

// x [..., K] of float32 by weights of 16 bits, on every instruction set and by every way: x is rounded to their type at
// most, the result of a kernel not at all.
class WideLinear : public testing::TestWithParam<kernels::Isa> {
 protected:
  void SetUp() override { kernels::set_active_isa(GetParam()); }
  void TearDown() override { kernels::set_active_isa(kernels::supported_isas().back()); }

  static at::Tensor product(const at::Tensor& x, const Factor& factor) {
    at::Tensor exact = x.to(at::kDouble).matmul(factor.weight.to(at::kDouble).t());
    return factor.bias.defined() ? exact + factor.bias.to(at::kDouble) : exact;
  }
  // Of a kernel, or of libtorch, which rounds the result.
  static double tolerance(int64_t rows, const Factor& factor) {
    const at::Tensor& weight = factor.weight;
    bool kernel = rows <= 6 || (rows <= 16 && !kernels::tiles_fit(weight.size(0), weight.size(1))) ||
                  !multiplies_fast(weight.scalar_type()) ||
                  (weight.is_contiguous() && kernels::tiles_fit(weight.size(0), weight.size(1)));
    return kernel ? 1e-5 : 5e-3;
  }
};

TEST_P(WideLinear, IsTheProductOfTheRoundedRows) {
  at::NoGradGuard no_gradients;
  at::manual_seed(6);
  for (at::ScalarType type : {at::kBFloat16, at::kHalf})
    for (int64_t rows : {1, 6, 7, 16, 17, 40})
      for (auto [n, k] : {std::pair{96, 64}, {70, 33}}) {
        at::Tensor x = at::randn({2, (rows + 1) / 2, k}), rounded = x.to(type).to(at::kFloat);
        at::Tensor other = at::randn({2, (rows + 1) / 2, n});
        const Factor factor{at::randn({n, k}).to(type), at::randn({n}).to(type)};
        const Factor gate{at::randn({n, k}).to(type), {}}, slanted{at::randn({k, n}).to(type).t(), {}};
        const double least = tolerance(2 * ((rows + 1) / 2), factor);
        SCOPED_TRACE(testing::Message() << rows << " " << n << " " << type);
        for (const auto& [read, most] : {std::pair{rounded, least}, {x, type == at::kHalf ? 1e-3 : 8e-3}}) {
          at::Tensor exact = product(read, factor), found = ops::linear(read, factor.weight, factor.bias);
          EXPECT_EQ(found.scalar_type(), at::kFloat);
          EXPECT_LT(relative_error(found, exact), most);
          EXPECT_LT(relative_error(ops::linear_added(read, factor, other), exact + other), most);
          EXPECT_LT(relative_error(ops::linear_activated(read, factor, Activation::gelu), at::gelu(exact)), 2 * most);
          EXPECT_LT(relative_error(ops::linear_gated(read, gate, factor, Activation::silu),
                                   at::silu(product(read, gate)) * exact),
                    3 * most);
          EXPECT_LT(relative_error(ops::linear(read, slanted.weight), product(read, slanted)), 8e-3);
        }
      }
}

TEST_P(WideLinear, CodesTakeIt) {
  at::NoGradGuard no_gradients;
  at::manual_seed(7);
  using kernels::Coding;
  for (Coding coding : {Coding::int8_rows, Coding::int8_groups, Coding::int4_groups, Coding::bfloat12})
    for (int64_t rows : {1, 9, 40}) {
      at::Tensor x = at::randn({rows, 64}).to(at::kBFloat16).to(at::kFloat), y = at::randn({rows, 64});
      const at::Tensor weight = at::randn({96, 64}).to(at::kBFloat16);
      const Factor packed{{}, at::randn({96}).to(at::kBFloat16), pack(weight, coding)};
      const Factor numbers{unpack(*packed.packed, at::empty({}, at::kDouble)), packed.bias};
      at::Tensor found = ops::linears(x, {&packed, 1})[0];
      if (coding == Coding::bfloat12) {  // of a model in float32
        const Factor exact{{}, packed.bias.to(at::kFloat), pack(weight.to(at::kFloat), coding)};
        EXPECT_LT(relative_error(ops::linears(y, {&exact, 1})[0], product(y, numbers)), 1e-5) << rows;
      }
      EXPECT_EQ(found.scalar_type(), at::kFloat);
      EXPECT_LT(relative_error(found, product(x, numbers)), coding != Coding::bfloat12                 ? 2e-2
                                                            : rows > 16 && !kernels::tiles_fit(96, 64) ? 5e-3
                                                                                                       : 1e-5)
          << rows;
    }
}

// Where bfloat16 is multiplied: 16 bits of each number, beside a factor whose rows are rounded to 8.
TEST_P(WideLinear, RowsInTwoAreNotRounded) {
  if (!kernels::tiles_fit(96, 64)) return;  // this set multiplies no bfloat16
  at::NoGradGuard no_gradients;
  at::manual_seed(10);
  for (bool packed : {false, true})
    for (int64_t rows : {1, 9, 40}) {
      at::Tensor x = at::randn({rows, 64}), weight = at::randn({96, 64}).to(at::kBFloat16);
      Factor factors[] = {{weight, {}}, {weight, {}}};
      const at::Tensor exact = product(x, factors[0]);
      if (packed)
        for (Factor& factor : factors) factor = {{}, {}, pack(weight, kernels::Coding::bfloat12)};
      factors[0].in_two = true;
      const auto found = ops::linears(x, factors);
      EXPECT_LT(relative_error(found[0], exact), 2e-5) << packed << " " << rows;
      if (rows == 40) EXPECT_GT(relative_error(found[1], exact), 5e-4) << packed;
    }
}

// What lies between is rounded once, for `down`.
TEST_P(WideLinear, FeedForwardIsItsFormula) {
  at::NoGradGuard no_gradients;
  at::manual_seed(8);
  for (int64_t rows : {1, 9, 40}) {
    at::Tensor x = at::randn({rows, 64}).to(at::kBFloat16).to(at::kFloat), other = at::randn({rows, 64});
    const Factor gate{at::randn({96, 64}).to(at::kBFloat16), {}}, up{at::randn({96, 64}).to(at::kBFloat16), {}};
    const Factor down{at::randn({64, 96}).to(at::kBFloat16), at::randn({64}).to(at::kBFloat16)};
    at::Tensor exact = product(at::silu(product(x, gate)) * product(x, up), down);
    at::Tensor alone = ops::feed_forward(x, gate, up, down, Activation::silu);
    EXPECT_EQ(alone.scalar_type(), at::kFloat);
    EXPECT_LT(relative_error(alone, exact), 1e-2) << rows;
    EXPECT_LT(relative_error(ops::feed_forward(x, gate, up, down, Activation::silu, other), exact + other), 1e-2);
  }
}

// Of codes: the sizes have a whole rotation and a part of one.
TEST_P(WideLinear, FeedForwardOfCodesIsItsFormula) {
  at::NoGradGuard no_gradients;
  at::manual_seed(9);
  using kernels::Coding;
  for (Coding coding : {Coding::int8_rotated, Coding::int4_ranges, Coding::int4_steps, Coding::bfloat12})
    for (int64_t rows : {1, 9, 40}) {
      SCOPED_TRACE(testing::Message() << kernels::coding_name(coding) << " " << rows);
      at::Tensor x = at::randn({rows, 320}).to(at::kBFloat16).to(at::kFloat), other = at::randn({rows, 320});
      const auto coded = [&](int64_t n, int64_t k) {
        return Factor{{}, at::randn({n}).to(at::kBFloat16), pack(at::randn({n, k}).to(at::kBFloat16), coding)};
      };
      const auto exact = [](const at::Tensor& input, const Factor& factor) {
        return product(input, {unpack(*factor.packed, at::empty({}, at::kDouble)), factor.bias});
      };
      const Factor gate = coded(288, 320), up = coded(288, 320), down = coded(320, 288);
      at::Tensor expected = exact(at::silu(exact(x, gate)) * exact(x, up), down);
      at::Tensor alone = ops::feed_forward(x, gate, up, down, Activation::silu);
      EXPECT_EQ(alone.scalar_type(), at::kFloat);
      EXPECT_LT(relative_error(alone, expected), 3e-2);
      EXPECT_LT(relative_error(ops::feed_forward(x, gate, up, down, Activation::silu, other), expected + other), 3e-2);
    }
}

INSTANTIATE_TEST_SUITE_P(Isas, WideLinear, testing::ValuesIn(kernels::supported_isas()),
                         [](const auto& info) { return std::string(kernels::isa_name(info.param)); });

TEST(ActivationType, IsFloatWhereKernelsMayRun) {
  for (at::ScalarType type : {at::kBFloat16, at::kHalf, at::kFloat, at::kDouble})
    EXPECT_EQ(activation_type(type, at::kCPU), type);
  at::NoGradGuard no_gradients;
  EXPECT_EQ(activation_type(at::kBFloat16, at::kCPU), at::kFloat);
  EXPECT_EQ(activation_type(at::kHalf, at::kCPU), at::kFloat);
  EXPECT_EQ(activation_type(at::kFloat, at::kCPU), at::kFloat);
  EXPECT_EQ(activation_type(at::kDouble, at::kCPU), at::kDouble);
  EXPECT_EQ(activation_type(at::kBFloat16, at::kCUDA), at::kBFloat16);
  EXPECT_EQ(activation_type(at::kBFloat16, at::kMeta), at::kBFloat16);
}

TEST(Norms, OfFloatsWithWeightsOf16Bits) {
  at::NoGradGuard no_gradients;
  for (at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    at::Tensor x = at::randn({5, 70}), weight = at::randn({70}).to(type), bias = at::randn({70}).to(type);
    at::Tensor wide = weight.to(at::kFloat);
    EXPECT_TRUE(at::equal(ops::rms_norm(x, weight, 1e-5), ops::rms_norm(x, wide, 1e-5)));
    EXPECT_TRUE(at::equal(ops::layer_norm(x, weight, bias, 1e-5), ops::layer_norm(x, wide, bias.to(at::kFloat), 1e-5)));
  }
}

TEST(Attention, QueriesOfFloatsAreRoundedForTheirKeys) {
  at::NoGradGuard no_gradients;
  for (at::ScalarType type : {at::kBFloat16, at::kHalf})
    for (int64_t queries : {1, 20})
      for (bool masked : {false, true}) {
        at::Tensor query = at::randn({1, 4, queries, 32}), key = at::randn({1, 2, 20, 32}).to(type),
                   value = at::randn({1, 2, 20, 32}).to(type), mask;
        if (masked) mask = at::randn({1, 4, queries, 20});
        at::Tensor found = ops::attention(query, key, value, mask, false, 0.2);
        EXPECT_EQ(found.scalar_type(), at::kFloat);
        at::Tensor exact = ops::attention(query, key.to(at::kFloat), value.to(at::kFloat), mask, false, 0.2);
        EXPECT_LT(relative_error(found, exact), 2e-2) << type << " " << queries;
      }
}

TEST(Linear, PackedWeightsPassAGradientToX) {
  at::manual_seed(5);
  auto packed = pack(at::randn({20, 64}), kernels::Coding::int4_groups);
  at::Tensor weight = unpack(*packed, at::empty({}));
  const Factor factor{{}, at::randn({20}), packed};
  at::Tensor x = at::randn({3, 64}).set_requires_grad(true);
  at::Tensor found = ops::linears(x, {&factor, 1})[0];
  EXPECT_LT(relative_error(found.detach(), at::linear(x, weight, factor.bias).detach()), 1e-5);
  found.sum().backward();
  EXPECT_LT(relative_error(x.grad(), weight.sum(0).expand({3, 64})), 1e-5);
}

TEST(Linear, SeveralAtOnceAreEachAlone) {
  for (at::ScalarType type : {at::kFloat, at::kBFloat16})
    for (int64_t rows : {1, 9, 40}) {
      at::Tensor x = at::randn({2, rows, 33}).to(type);
      std::vector<Factor> factors;
      for (int64_t outputs : {70, 1, 3, 129})
        factors.push_back(
            {at::randn({outputs, 33}).to(type), outputs > 2 ? at::randn({outputs}).to(type) : at::Tensor()});
      auto found = ops::linears(x, factors);
      ASSERT_EQ(found.size(), factors.size());
      for (size_t i = 0; i < factors.size(); ++i)
        EXPECT_TRUE(at::equal(found[i], ops::linear(x, factors[i].weight, factors[i].bias))) << i << " " << rows;
    }
}

// As where some of the matrices that share an input are kept, or do not fit.
TEST(Linear, CodesBesideNumbersAreEachAlone) {
  for (at::ScalarType type : {at::kFloat, at::kBFloat16})
    for (int64_t rows : {1, 9, 40}) {
      at::Tensor x = at::randn({rows, 64}).to(type), weight = at::randn({96, 64}).to(type);
      std::vector<Factor> factors{{weight, {}}};
      for (kernels::Coding coding : {kernels::Coding::bfloat12, kernels::Coding::int8_rotated,
                                     kernels::Coding::int8_groups, kernels::Coding::int8_rows})
        factors.push_back({{}, {}, pack(weight, coding)});
      auto found = ops::linears(x, factors);
      ASSERT_EQ(found.size(), factors.size());
      for (size_t i = 0; i < factors.size(); ++i)
        EXPECT_TRUE(at::equal(found[i], ops::linears(x, {&factors[i], 1})[0])) << i << " " << rows << " " << type;
      EXPECT_LT(relative_error(found[4], found[0]), 3e-2);
    }
}

TEST(Linear, KeepsTheGraphWhereGradientsAreWanted) {
  for (at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    at::Tensor x = at::randn({3, 8}).to(type), weight = at::randn({4, 8}).to(type).requires_grad_();
    ops::linear(x, weight).sum().backward();
    EXPECT_LT(relative_error(weight.grad()[2], x.to(at::kFloat).sum(0)), 1e-2);
    at::NoGradGuard no_gradients;
    EXPECT_FALSE(ops::linear(x, weight).requires_grad());
  }
}

// The paths with and without a graph are two; both must be the formula.
TEST(RmsNorm, IsItsFormulaInEveryType) {
  for (auto [type, tolerance] : {std::pair{at::kFloat, 1e-6}, {at::kBFloat16, 8e-3}, {at::kHalf, 1e-3}})
    for (int64_t width : {1, 15, 64, 100}) {
      at::Tensor x = at::randn({3, 5, width}).to(type), weight = at::randn({width}).to(type).requires_grad_();
      at::Tensor wide = x.to(at::kDouble);
      at::Tensor exact = wide / (wide.square().mean(-1, true) + 0.1).sqrt() * weight.detach().to(at::kDouble);
      at::Tensor with_graph = ops::rms_norm(x, weight, 0.1), without = ops::rms_norm(x, weight.detach(), 0.1);
      EXPECT_TRUE(with_graph.requires_grad());
      EXPECT_EQ(without.scalar_type(), type);
      EXPECT_LT(relative_error(with_graph.detach(), exact), tolerance) << width << " " << type;
      EXPECT_LT(relative_error(without, exact), tolerance) << width << " " << type;
    }
}

TEST(Gated, IsItsFormulaInEveryType) {
  for (auto [type, tolerance] : {std::pair{at::kFloat, 1e-6}, {at::kBFloat16, 8e-3}, {at::kHalf, 1e-3}})
    for (Activation activation : {Activation::silu, Activation::gelu_tanh}) {
      at::Tensor gate = at::randn({5, 70}).to(type), up = at::randn({70, 5}).to(type).t();
      at::Tensor exact = activate(gate.to(at::kDouble), activation) * up.to(at::kDouble);
      EXPECT_LT(relative_error(ops::gated(gate, up, activation), exact), tolerance) << type;
      at::Tensor with_graph = ops::gated(gate.clone().requires_grad_(), up, activation);
      EXPECT_TRUE(with_graph.requires_grad());
      EXPECT_LT(relative_error(with_graph.detach(), exact), tolerance) << type;
    }
}

TEST(StorePaged, RoundsToWhatTheCacheHolds) {
  at::Tensor x = at::randn({3, 2, 5}), blocks = at::tensor({1, 0, 1}, at::kLong),
             offsets = at::tensor({15, 0, 3}, at::kLong);
  for (bool contiguous : {true, false}) {
    at::Tensor cache = at::zeros({2, 2, 16, 5}, at::kBFloat16);
    if (!contiguous) cache = at::zeros({2, 16, 2, 5}, at::kBFloat16).transpose(1, 2);
    ops::PagedNumbers part{cache, {}};
    ops::store_paged(x, blocks, offsets, part);
    EXPECT_TRUE(at::equal(cache[1].select(1, 15), x[0].to(at::kBFloat16)));
    EXPECT_TRUE(at::equal(cache[0].select(1, 0), x[1].to(at::kBFloat16)));
  }
}

// Both ways to store, the second for a cache whose positions do not follow one another.
TEST(StorePaged, PutsRowsWhereTheyBelong) {
  at::Tensor x = at::randn({3, 2, 5}), blocks = at::tensor({1, 0, 1}, at::kLong),
             offsets = at::tensor({15, 0, 3}, at::kLong);
  for (bool contiguous : {true, false}) {
    at::Tensor cache = contiguous ? at::zeros({2, 2, 16, 5}) : at::zeros({2, 16, 2, 5}).transpose(1, 2);
    ops::PagedNumbers part{cache, {}};
    ops::store_paged(x, blocks, offsets, part);
    EXPECT_TRUE(at::equal(cache[1].select(1, 15), x[0]));
    EXPECT_TRUE(at::equal(cache[0].select(1, 0), x[1]));
    EXPECT_TRUE(at::equal(cache[1].select(1, 3), x[2]));
    EXPECT_EQ(cache.count_nonzero().item<int64_t>(), x.numel());
  }
}

// By the kernel, and by libtorch's operators for a cache that the kernel does not take.
TEST(StorePaged, CodesComeBackToWithinHalfAStep) {
  at::Tensor x = at::randn({4, 2, 7}), blocks = at::tensor({1, 0, 1, 1}, at::kLong),
             offsets = at::tensor({15, 0, 3, 4}, at::kLong);
  x[3].zero_();
  x[3][1][2] = INFINITY;
  ops::PagedNumbers found[2];
  for (bool contiguous : {true, false}) {
    auto codes = at::TensorOptions().dtype(at::kChar);
    ops::PagedNumbers& part = found[contiguous];
    part.numbers = contiguous ? at::zeros({2, 2, 16, 7}, codes) : at::zeros({2, 16, 2, 7}, codes).transpose(1, 2);
    part.scales = at::zeros({2, 2, 16});
    ops::store_paged(x, blocks, offsets, part);
    at::Tensor back = ops::gather_paged(part, at::tensor({1, 0}, at::kLong), at::kFloat);  // [2, 32, 7]
    at::Tensor step = x.abs().amax(-1, true) / 127;                                        // [4, 2, 1]
    for (auto [row, place] : {std::pair{0, 15}, {1, 16}, {2, 3}})
      EXPECT_TRUE(((back.select(1, place) - x[row]).abs() <= step[row] * 0.5001).all().item<bool>());
    EXPECT_EQ(back[0][4].count_nonzero().item<int64_t>(), 0);
    EXPECT_TRUE(back[1][4].isnan().all().item<bool>());
  }
  EXPECT_TRUE(at::equal(found[0].numbers, found[1].numbers));
  EXPECT_TRUE(at::allclose(found[0].scales, found[1].scales, 1e-6, 0, /*equal_nan=*/true));
}

TEST(RotateHalf, IsItsFormulaInEveryType) {
  for (auto [type, tolerance] : {std::pair{at::kFloat, 1e-6}, {at::kBFloat16, 1.2e-2}, {at::kHalf, 2e-3}}) {
    at::Tensor x = at::randn({7, 3, 10}).to(type), angle = at::randn({7, 5});
    at::Tensor c = angle.cos().to(at::kDouble).unsqueeze(1), s = angle.sin().to(at::kDouble).unsqueeze(1);
    at::Tensor a = x.narrow(2, 0, 5).to(at::kDouble), b = x.narrow(2, 5, 5).to(at::kDouble);
    at::Tensor exact = at::cat({a * c - b * s, b * c + a * s}, -1);
    at::Tensor strided = x.transpose(0, 1).contiguous().transpose(0, 1);
    EXPECT_LT(relative_error(ops::rotate_half(strided, angle.cos(), angle.sin()), exact), tolerance);
    at::Tensor with_graph = ops::rotate_half(x.clone().requires_grad_(), angle.cos(), angle.sin());
    EXPECT_TRUE(with_graph.requires_grad());
    EXPECT_LT(relative_error(with_graph.detach(), exact), tolerance);
  }
}

TEST(RotatePairs, IsTheProductOfComplexNumbers) {
  for (auto [type, tolerance] : {std::pair{at::kFloat, 1e-6}, {at::kBFloat16, 1.2e-2}, {at::kHalf, 2e-3}}) {
    at::Tensor x = at::randn({7, 3, 10}).to(type), angle = at::randn({7, 5});
    at::Tensor turn = at::complex(angle.cos(), angle.sin()).unsqueeze(1);
    at::Tensor exact = at::view_as_real(at::view_as_complex(x.to(at::kFloat).view({7, 3, 5, 2})) * turn).flatten(2);
    EXPECT_LT(relative_error(ops::rotate_pairs(x, angle.cos(), angle.sin()), exact), tolerance);
    at::Tensor with_graph = ops::rotate_pairs(x.clone().requires_grad_(), angle.cos(), angle.sin());
    EXPECT_TRUE(with_graph.requires_grad());
    EXPECT_LT(relative_error(with_graph.detach(), exact), tolerance);
  }
}

TEST(Linear, TakesAWeightThatLiesByColumns) {
  for (auto [type, tolerance] : {std::pair{at::kFloat, 1e-5}, {at::kBFloat16, 1.2e-2}, {at::kHalf, 2e-3}})
    for (int64_t rows : {1, 3, 16, 40}) {
      at::Tensor x = at::randn({rows, 37}).to(type), both = at::randn({37, 300}).to(type),
                 bias = at::randn({120}).to(type);
      at::Tensor weight = both.narrow(1, 150, 120).t();
      at::Tensor exact = at::addmm(bias.to(at::kFloat), x.to(at::kFloat), weight.t().to(at::kFloat));
      EXPECT_LT(relative_error(ops::linear(x, weight, bias), exact), tolerance) << rows;
    }
}

TEST(RmsNorm, WithoutAWeightIsWithOnes) {
  for (auto type : {at::kFloat, at::kBFloat16}) {
    at::Tensor x = at::randn({3, 33}).to(type);
    EXPECT_TRUE(at::equal(ops::rms_norm(x, {}, 1e-5), ops::rms_norm(x, at::ones({33}, type), 1e-5)));
    EXPECT_TRUE(at::allclose(ops::rms_norm(x.clone().requires_grad_(), {}, 1e-5).detach(), ops::rms_norm(x, {}, 1e-5),
                             1e-2, 1e-5));
  }
}

TEST(Attention, SharedKeysAreAsRepeatedOnes) {
  for (bool graph : {false, true}) {
    at::Tensor query = at::randn({2, 6, 5, 8}).requires_grad_(graph), key = at::randn({2, 2, 5, 8}),
               value = at::randn({2, 2, 5, 8});
    at::Tensor found = ops::attention(query, key, value, {}, true, 0.4);
    at::Tensor scores = query.matmul(key.repeat_interleave(3, 1).transpose(-1, -2)) * 0.4;
    scores = scores.masked_fill(at::ones({5, 5}, at::kBool).triu(1), -1e30);
    at::Tensor expected = scores.softmax(-1).matmul(value.repeat_interleave(3, 1));
    EXPECT_LT(relative_error(found.detach(), expected.detach()), 1e-5);
    EXPECT_EQ(found.requires_grad(), graph);
  }
}

TEST(Attention, CausalQueriesAreTheLastOfTheirKeys) {
  at::NoGradGuard no_gradients;
  for (auto type : {at::kFloat, at::kBFloat16}) {
    for (int64_t queries : {1, 7, 40}) {
      at::Tensor query = at::randn({2, 6, queries, 16}), key = at::randn({2, 2, 45, 16}).to(type),
                 value = at::randn({2, 2, 45, 16}).to(type);
      at::Tensor found = ops::attention(query, key, value, {}, true, 0.4);
      at::Tensor seen = at::ones({queries, 45}, at::kBool).tril(45 - queries).view({1, 1, queries, 45});
      at::Tensor expected = ops::attention(query, key.to(at::kFloat), value.to(at::kFloat), seen, false, 0.4);
      EXPECT_LT(relative_error(found, expected), type == at::kFloat ? 1e-5 : 2e-2) << queries;
      std::vector<int64_t> first_seen;
      for (int64_t i = 0; i < queries; ++i) first_seen.push_back(std::max<int64_t>(0, 45 - queries + i - 8));
      found = ops::attention(query, key, value, {}, true, 0.4, first_seen);
      expected = ops::attention(query, key.to(at::kFloat), value.to(at::kFloat), seen & seen.triu(45 - queries - 8),
                                false, 0.4);
      EXPECT_LT(relative_error(found, expected), type == at::kFloat ? 1e-5 : 2e-2) << queries;
    }
  }
}

}  // namespace
}  // namespace nuri::ops
