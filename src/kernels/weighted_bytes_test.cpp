#include "kernels/weighted_bytes.h"

#include <gtest/gtest.h>

#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

using WeightedBytes = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Kernels, WeightedBytes, testing::ValuesIn(supported_isas()), isa_test_name);

TEST_P(WeightedBytes, EqualsTheSum) {
  CounterRandom random(11);
  for (int64_t length : {1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 96, 127, 200}) {
    for (int64_t taps : {0, 1, 2, 5, 40}) {
      const int64_t stride = length + static_cast<int64_t>(random.below(5));
      std::vector<uint8_t> in(static_cast<std::size_t>(stride * std::max<int64_t>(taps, 1)) + 1);
      for (auto& byte : in) byte = static_cast<uint8_t>(random.chance(0.3) ? 255 : random.below(256));
      // Weights of both signs whose sums leave the range of a byte on either side.
      std::vector<int32_t> weights;
      for (int64_t t = 0; t < taps; ++t)
        weights.push_back(static_cast<int32_t>(random.uniform(-1, 1.6) * (1 << 22) / static_cast<double>(taps)));
      std::vector<uint8_t> out(static_cast<std::size_t>(length) + 3, 0xA5);
      weighted_bytes(in.data() + 1, stride, weights.data(), taps, out.data() + 1, length);
      EXPECT_EQ(out[0], 0xA5);
      for (int64_t i = 0; i < length; ++i) {
        double sum = 0;
        for (int64_t t = 0; t < taps; ++t) sum += double(in[1 + t * stride + i]) * weights[t];
        const double expected = std::min(std::max(std::floor(sum / (1 << 22) + 0.5), 0.0), 255.0);
        ASSERT_EQ(out[1 + i], expected) << "length " << length << ", taps " << taps << ", at " << i;
      }
      EXPECT_EQ(out[length + 1], 0xA5);
    }
  }
}

}  // namespace
}  // namespace nuri::kernels
