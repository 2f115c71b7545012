#include "kernels/bfloat12.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "kernels/convert.h"
#include "kernels/cpu.h"
#include "kernels/quantized.h"
#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

constexpr Element kType = Element::bfloat16;

uint16_t bits_at(const Buffer& w, int64_t i) {
  uint16_t bits;
  std::memcpy(&bits, static_cast<const std::byte*>(w.data()) + i * 2, 2);
  return bits;
}

// Numbers of which some are zeros, denormal, or far smaller than their neighbours.
Buffer weights(int64_t n, int64_t stride, uint64_t seed) {
  CounterRandom random(seed);
  Buffer w(kType, n * stride);
  w.set_random(random);
  for (int64_t i = 0; i < w.count(); ++i) {
    if (i % 41 == 0) w.set(i, i % 2 == 0 ? 0.0 : -0.0);
    if (i % 97 == 3) w.set(i, 0x1p-130);
    if (i % 1301 == 7) w.set(i, i % 2 == 0 ? 0x1p-20 : -0x1.8p-40);
  }
  return w;
}

std::vector<std::byte> packed_of(const Buffer& w, int64_t n, int64_t k, int64_t stride) {
  std::vector<std::byte> packed(static_cast<size_t>(quantized_bytes(Coding::bfloat12, n, k)) + 1, std::byte{77});
  EXPECT_TRUE(bfloat12_fits(n, k, {w.data(), kType, stride}));
  EXPECT_TRUE(pack_bfloat12(n, k, {w.data(), kType, stride}, packed.data() + 1));
  return packed;
}

TEST(BFloat12, IsWithoutLoss) {
  for (int64_t n : {1, 15, 16, 33})
    for (int64_t k : {1, 31, 32, 33, 200, 500}) {
      const Buffer w = weights(n, k + 3, static_cast<uint64_t>(n * k));
      const std::vector<std::byte> packed = packed_of(w, n, k, k + 3);
      std::vector<uint16_t> found(static_cast<size_t>(n * k));
      unpack_bfloat12(n, k, packed.data() + 1, 0, n, found.data());
      for (int64_t i = 0; i < n * k; ++i)
        ASSERT_EQ(found[static_cast<size_t>(i)], bits_at(w, i / k * (k + 3) + i % k)) << n << " " << k << " " << i;
      std::vector<float> wide(static_cast<size_t>(k));
      dequantize(Coding::bfloat12, n, k, packed.data() + 1, n - 1, n, wide.data());
      for (int64_t i = 0; i < k; ++i) ASSERT_EQ(wide[static_cast<size_t>(i)], w.get((n - 1) * (k + 3) + i));
    }
}

TEST(BFloat12, LeavesAloneWhatDoesNotFit) {
  const int64_t n = 40, k = 64;
  std::vector<std::byte> packed(static_cast<size_t>(quantized_bytes(Coding::bfloat12, n, k)));
  Buffer w(kType, n * k);
  for (int64_t i = 0; i < w.count(); ++i) w.set(i, 1);
  const ConstRows rows{w.data(), kType, k};
  const auto fits = [&] {
    const bool found = bfloat12_fits(n, k, rows);
    EXPECT_EQ(pack_bfloat12(n, k, rows, packed.data()), found);
    return found;
  };
  for (int64_t first : {int64_t{0}, 16 * k, 32 * k})  // of each panel; the last has half its rows
    for (int64_t i = 0; i < far_numbers(2); ++i) w.set(first + i * 3 + 1, 0x1p-30);
  EXPECT_TRUE(fits());
  for (int64_t i : {k - 1, n * k - 1})
    for (double one_too_many : {0x1p-30, 0x1p-15, HUGE_VAL, -HUGE_VAL, std::nan("")}) {
      w.set(i, one_too_many);
      EXPECT_FALSE(fits()) << i << " " << one_too_many;
      w.set(i, 0x1p-14);
      EXPECT_TRUE(fits());
    }
  EXPECT_THROW(bfloat12_fits(n, k, {w.data(), Element::float16, k}), Error);
  EXPECT_THROW(pack_bfloat12(n, k, {w.data(), Element::float16, k}, packed.data()), Error);
}

using BFloat12Products = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Kernels, BFloat12Products, testing::ValuesIn(supported_isas()), isa_test_name);

// `rounds`: x may be rounded, which it is where bfloat16 is multiplied, unless it is taken `in_two`.
void check(int64_t m, int64_t n, int64_t k, Element type, bool rounds = false, bool in_two = false) {
  SCOPED_TRACE(testing::Message() << m << " " << n << " " << k);
  ASSERT_TRUE(bfloat12_multiplies(m, n, k, type, rounds));
  const Buffer w = weights(n, k, static_cast<uint64_t>(m * n + k));
  const std::vector<std::byte> packed = packed_of(w, n, k, k);
  CounterRandom random(3);
  Buffer x(type, m * (k + 1)), y(Element::float32, m * n);
  x.set_random(random);
  QuantizedFactor factor{n, Coding::bfloat12, packed.data() + 1, {y.data(), y.type(), n}};
  factor.rounds = rounds, factor.in_two = in_two;
  quantized_products(m, k, {x.data(), type, k + 1}, {&factor, 1});
  Buffer seen(rounds && !in_two && has_tiles(active_isa()) ? kType : type, x.count());
  convert(x.data(), type, seen.data(), seen.type(), x.count());
  for (int64_t i = 0; i < m * n; ++i) {
    double sum = 0, size = 0;
    for (int64_t j = 0; j < k; ++j) {
      const double product = seen.get(i / n * (k + 1) + j) * w.get(i % n * k + j);
      sum += product, size += std::abs(product);
    }
    // Products of bfloat16 take numbers below 2^-126 for 0.
    ASSERT_NEAR(y.get(i), sum, size * (in_two ? 0x1p-16 : 2e-6) + 0x1p-120) << i;
  }
  ASSERT_TRUE(y.guard_is_whole());
}

TEST_P(BFloat12Products, OfFewRows) {
  for (int64_t m : {1, 2, 5, 6, 8, 9, 16})
    for (int64_t n : {1, 16, 37})
      for (bool rounds : {false, true}) check(m, n, 70, m % 2 ? Element::float32 : kType, rounds);
  for (int64_t m : {1, 7, 16}) check(m, 37, 70, Element::float32, /*rounds=*/true, /*in_two=*/true);
  for (int64_t k : {1, 31, 32, 33, 64, 301}) check(3, 19, k, kType);
}

TEST_P(BFloat12Products, InTiles) {
  if (!has_tiles(GetParam())) return;  // others have none
  for (int64_t m : {7, 16, 33, 70}) check(m, 64, 96, kType);
  for (int64_t k : {32, 288, 544}) check(20, 32, k, kType);
  check(20, 160, 64, kType);
  for (int64_t m : {17, 70}) check(m, 64, 288, Element::float32, /*rounds=*/true, /*in_two=*/true);
}

}  // namespace
}  // namespace nuri::kernels
