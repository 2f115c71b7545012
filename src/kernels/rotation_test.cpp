#include "kernels/rotation.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

using Rotation = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Kernels, Rotation, testing::ValuesIn(supported_isas()), isa_test_name);

constexpr int64_t kColumns = 256;
constexpr int64_t kWidths[] = {1, 31, 255, 256, 257, 300, 511, 512, 896, 1100};

// One block by the definition: Hadamard's matrix has -1 where two indices share an odd number of bits.
void rotate_block_by_definition(double* x) {
  std::vector<double> rotated(kColumns);
  for (unsigned i = 0; i < kColumns; ++i)
    for (unsigned j = 0; j < kColumns; ++j) rotated[i] += (std::popcount(i & j) % 2 ? -x[j] : x[j]) / 16;
  std::copy(rotated.begin(), rotated.end(), x);
}

std::vector<double> rotated_by_definition(const std::vector<float>& x) {
  std::vector<double> rotated(x.begin(), x.end());
  const auto k = static_cast<int64_t>(x.size());
  for (int64_t i = 0; i + kColumns <= k; i += kColumns) rotate_block_by_definition(rotated.data() + i);
  if (k > kColumns && k % kColumns) rotate_block_by_definition(rotated.data() + k - kColumns);
  return rotated;
}

std::vector<float> random_row(int64_t k, uint64_t seed) {
  CounterRandom random(seed);
  std::vector<float> row(static_cast<size_t>(k));
  for (float& x : row) x = static_cast<float>(random.normal());
  return row;
}

TEST_P(Rotation, IsAsDefined) {
  for (int64_t k : kWidths) {
    std::vector<float> x = random_row(k, static_cast<uint64_t>(k));
    const std::vector<double> expected = rotated_by_definition(x);
    rotate(x.data(), k);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], expected[i], 1e-5) << k << ": " << i;
  }
}

TEST_P(Rotation, BackAgain) {
  for (int64_t k : kWidths) {
    const std::vector<float> x = random_row(k, 3);
    std::vector<float> there = x;
    rotate(there.data(), k);
    rotate_back(there.data(), k);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(there[i], x[i], 1e-5) << k << ": " << i;
  }
}

// Files that one processor packs, another reads.
TEST_P(Rotation, EverySetGivesTheSameBits) {
  for (int64_t k : kWidths) {
    std::vector<float> x = random_row(k, 4), reference = x;
    rotate(x.data(), k);
    set_active_isa(Isa::scalar);
    rotate(reference.data(), k);
    set_active_isa(GetParam());
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(x[i], reference[i]) << k << ": " << i;
  }
}

TEST_P(Rotation, RowsOfEveryType) {
  constexpr int64_t kRows = 5, kWidth = 300, kStride = 307;
  for (Element type : all_elements()) {
    CounterRandom random(5);
    Buffer x(type, kRows * kStride);
    x.set_random(random);
    std::vector<float> rotated(kRows * kWidth);
    rotate_rows({x.data(), type, kStride}, kWidth, 1, 4, rotated.data());
    for (int64_t row = 1; row < 4; ++row) {
      std::vector<float> expected(kWidth);
      for (int64_t i = 0; i < kWidth; ++i)
        expected[static_cast<size_t>(i)] = static_cast<float>(x.get(row * kStride + i));
      rotate(expected.data(), kWidth);
      for (int64_t i = 0; i < kWidth; ++i)
        ASSERT_EQ(rotated[static_cast<size_t>((row - 1) * kWidth + i)], expected[static_cast<size_t>(i)]);
    }
  }
}

}  // namespace
}  // namespace nuri::kernels
