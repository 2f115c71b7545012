#include "kernels/silu_gate.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

using SiluGate = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Kernels, SiluGate, testing::ValuesIn(supported_isas()), isa_test_name);

double exact(double gate, double up) { return gate / (1 + std::exp(-gate)) * up; }

TEST_P(SiluGate, IsItsFormulaAtEveryLengthAndType) {
  for (Element type : all_elements()) {
    const double unit = type == Element::float32 ? 4e-7 : type == Element::float16 ? 0x1p-10 : 0x1p-7;
    for (int64_t count : {0, 1, 7, 8, 9, 15, 16, 17, 100, 1001}) {
      CounterRandom random(static_cast<uint64_t>(count));
      Buffer gate(type, count), up(type, count, 3), out(type, count);
      gate.set_random(random, 4.0);
      up.set_random(random);
      silu_gate(gate.data(), up.data(), out.data(), type, count);
      for (int64_t i = 0; i < count; ++i) {
        const double expected = exact(gate.get(i), up.get(i));
        ASSERT_NEAR(out.get(i), expected, std::abs(expected) * unit + 1e-7) << gate.get(i) << " " << up.get(i);
      }
      ASSERT_TRUE(out.guard_is_whole());
    }
  }
}

TEST_P(SiluGate, ExtremeValues) {
  const std::vector<float> gate{0, 1e-30f, 30, 88, 1e30f, INFINITY, -30, -87, -88, -89, -1e30f, NAN};
  for (std::size_t i = 0; i < gate.size(); ++i) {
    const float up = 2;
    float out = 7;
    silu_gate(&gate[i], &up, &out, Element::float32, 1);
    if (std::isnan(gate[i])) {
      EXPECT_TRUE(std::isnan(out));
    } else if (gate[i] <= -87) {
      EXPECT_LE(std::abs(out), 1e-6f) << gate[i];
    } else {
      EXPECT_FLOAT_EQ(out, static_cast<float>(exact(gate[i], up))) << gate[i];
    }
  }
}

TEST_P(SiluGate, QuickGeluIsItsFormulaAtEveryLengthAndType) {
  for (Element type : all_elements()) {
    const double unit = type == Element::float32 ? 4e-7 : type == Element::float16 ? 0x1p-10 : 0x1p-7;
    for (int64_t count : {0, 1, 7, 8, 9, 15, 16, 17, 100, 1001}) {
      CounterRandom random(static_cast<uint64_t>(count));
      Buffer x(type, count), out(type, count, 3);
      x.set_random(random, 4.0);
      quick_gelu(x.data(), out.data(), type, count);
      for (int64_t i = 0; i < count; ++i) {
        const double expected = x.get(i) / (1 + std::exp(-1.702 * x.get(i)));
        ASSERT_NEAR(out.get(i), expected, std::abs(expected) * unit + 1e-7) << x.get(i);
      }
      ASSERT_TRUE(out.guard_is_whole());
    }
  }
}

TEST_P(SiluGate, QuickGeluOfExtremeValues) {
  std::vector<float> x{0, 1e30f, INFINITY, -60, -1e30f, NAN};
  quick_gelu(x.data(), x.data(), Element::float32, static_cast<int64_t>(x.size()));  // in place
  EXPECT_EQ(x[0], 0);
  EXPECT_EQ(x[1], 1e30f);
  EXPECT_EQ(x[2], INFINITY);
  EXPECT_LE(std::abs(x[3]), 1e-6f);
  EXPECT_LE(std::abs(x[4]), 1e-6f);
  EXPECT_TRUE(std::isnan(x[5]));
}

TEST(SiluGateChecks, RefusesANegativeCount) {
  float value = 0;
  EXPECT_THROW(silu_gate(&value, &value, &value, Element::float32, -1), Error);
  EXPECT_THROW(quick_gelu(&value, &value, Element::float32, -1), Error);
}

}  // namespace
}  // namespace nuri::kernels
