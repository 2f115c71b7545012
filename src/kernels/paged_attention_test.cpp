#include "kernels/paged_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

using PagedAttention = EveryIsa;
INSTANTIATE_TEST_SUITE_P(Kernels, PagedAttention, testing::ValuesIn(supported_isas()), isa_test_name);

struct Case {
  std::vector<int64_t> lengths;
  int64_t heads, kv_heads, dim;
  Element cache = Element::bfloat16, q = Element::float32;
  int64_t window = 0;
  double sharpness = 1.0;
  int64_t first(int64_t length) const { return window > 0 ? std::max<int64_t>(0, length - window) : 0; }
};

// A cache whose unused places hold NaN, so that reading one shows, and sequences whose blocks lie in random order.
struct Fixture {
  Fixture(const Case& c, uint64_t seed)
      : blocks(count_blocks(c)),
        keys(c.cache, blocks * c.kv_heads * 16 * c.dim),
        values(c.cache, keys.count()),
        q(c.q, std::ssize(c.lengths) * c.heads * c.dim),
        out(c.q, q.count()) {
    CounterRandom random(seed);
    q.set_random(random, c.sharpness);
    for (int64_t i = 0; i < keys.count(); ++i) keys.set(i, NAN), values.set(i, NAN);
    std::vector<int32_t> order(static_cast<std::size_t>(blocks));
    std::iota(order.begin(), order.end(), 0);
    random.shuffle(order);
    auto next = order.begin();
    for (int64_t length : c.lengths) {
      tables.emplace_back(next, next + (length + 15) / 16);
      next += (length + 15) / 16;
      for (int64_t p = 0; p < length; ++p) {
        for (int64_t i = 0; i < c.kv_heads * c.dim; ++i) {
          const int64_t place = index(c, tables.back(), p, i / c.dim) + i % c.dim;
          keys.set(place, rounded_to(c.cache, random.normal()));
          values.set(place, rounded_to(c.cache, random.normal()));
        }
      }
    }
  }
  static int64_t count_blocks(const Case& c) {
    int64_t count = 1;
    for (int64_t length : c.lengths) count += (length + 15) / 16;
    return count;
  }
  static int64_t index(const Case& c, const std::vector<int32_t>& table, int64_t position, int64_t head) {
    return ((table[static_cast<std::size_t>(position / 16)] * c.kv_heads + head) * 16 + position % 16) * c.dim;
  }

  int64_t blocks;
  Buffer keys, values, q, out;
  std::vector<std::vector<int32_t>> tables;
};

void check(const Case& c, uint64_t seed) {
  Fixture f(c, seed);
  const int64_t row = c.heads * c.dim;
  std::vector<PagedQuery> queries;
  for (std::size_t s = 0; s < c.lengths.size(); ++s) {
    const auto place = static_cast<int64_t>(s) * row * element_bytes(c.q);
    queries.push_back({static_cast<std::byte*>(f.q.data()) + place, static_cast<std::byte*>(f.out.data()) + place,
                       f.tables[s].data(), c.lengths[s], c.first(c.lengths[s])});
  }
  const float scale = 1.0f / std::sqrt(static_cast<float>(c.dim));
  paged_attention({f.keys.data(), f.values.data(), c.cache, f.blocks, c.kv_heads, c.dim}, queries, c.heads, c.q, scale);
  for (std::size_t s = 0; s < c.lengths.size(); ++s) {
    const int64_t length = c.lengths[s], begin = c.first(length);
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t kv = h / (c.heads / c.kv_heads), place = static_cast<int64_t>(s) * row + h * c.dim;
      std::vector<double> weights;
      for (int64_t p = begin; p < length; ++p) {
        double score = 0;
        for (int64_t d = 0; d < c.dim; ++d) {
          score += f.q.get(place + d) * f.keys.get(Fixture::index(c, f.tables[s], p, kv) + d);
        }
        weights.push_back(score * scale);
      }
      const double top = weights.empty() ? 0 : *std::max_element(weights.begin(), weights.end());
      double total = 0;
      for (double& weight : weights) total += weight = std::exp(weight - top);
      for (int64_t d = 0; d < c.dim; ++d) {
        double expected = 0;
        for (int64_t p = begin; p < length; ++p) {
          expected += weights[static_cast<std::size_t>(p - begin)] / total *
                      f.values.get(Fixture::index(c, f.tables[s], p, kv) + d);
        }
        const double unit = c.q == Element::float32 ? 0 : c.q == Element::float16 ? 0x1p-11 : 0x1p-8;
        ASSERT_NEAR(f.out.get(place + d), expected, 3e-6 * c.sharpness + std::abs(expected) * unit)
            << "length " << length << ", head " << h << ", d " << d;
      }
    }
  }
  ASSERT_TRUE(f.out.guard_is_whole());
}

TEST_P(PagedAttention, EveryLength) {
  std::vector<int64_t> lengths(70);
  std::iota(lengths.begin(), lengths.end(), 0);
  check({lengths, 4, 2, 16}, 1);
  check({{200, 128, 111}, 4, 2, 16}, 2);
}

TEST_P(PagedAttention, Groups) {
  for (int64_t group = 1; group <= 17; ++group) check({{37}, 2 * group, 2, 24}, static_cast<uint64_t>(group));
}

TEST_P(PagedAttention, HeadSizes) {
  for (int64_t dim : {1, 5, 8, 13, 40, 64, 72, 80, 100, 128, 256}) check({{35, 16}, 6, 3, dim}, 9);
}

TEST_P(PagedAttention, Types) {
  for (Element cache : all_elements()) {
    for (Element q : all_elements()) check({{50, 3}, 8, 2, 20, cache, q}, 4);
  }
}

TEST_P(PagedAttention, Windows) {
  for (int64_t window : {1, 2, 15, 16, 17, 40, 1000}) check({{1, 16, 33, 90}, 4, 2, 16, {}, {}, window}, 5);
}

TEST_P(PagedAttention, SharpScores) { check({{100, 64}, 4, 2, 32, Element::float32, Element::float32, 0, 40.0}, 6); }

TEST_P(PagedAttention, ANumberThatIsNoneReachesItsOwnSequenceOnly) {
  Case c{{20, 20}, 2, 1, 8, Element::float32};
  Fixture f(c, 3);
  f.q.set(3, NAN);
  std::vector<PagedQuery> queries;
  for (std::size_t s = 0; s < 2; ++s) {
    queries.push_back({static_cast<std::byte*>(f.q.data()) + s * 64, static_cast<std::byte*>(f.out.data()) + s * 64,
                       f.tables[s].data(), 20});
  }
  paged_attention({f.keys.data(), f.values.data(), c.cache, f.blocks, 1, 8}, queries, 2, c.q, 1.0f);
  for (int64_t i = 0; i < 32; ++i) EXPECT_EQ(std::isnan(f.out.get(i)), i < 8) << i;
}

TEST(PagedAttentionChecks, RefusesBadHeadsAndBlocks) {
  std::vector<float> cache(2 * 16 * 4), q(8), out(8);
  const PagedCache one{cache.data(), cache.data(), Element::float32, 2, 1, 4};
  for (int32_t block : {-1, 2}) {
    const PagedQuery query{q.data(), out.data(), &block, 5};
    EXPECT_THROW(paged_attention(one, {&query, 1}, 2, Element::float32, 1.0f), Error);
  }
  const int32_t block = 1;
  const PagedQuery query{q.data(), out.data(), &block, 5};
  EXPECT_NO_THROW(paged_attention(one, {&query, 1}, 2, Element::float32, 1.0f));
  PagedCache three = one;
  three.kv_heads = 3;
  EXPECT_THROW(paged_attention(three, {&query, 1}, 2, Element::float32, 1.0f), Error);
}

}  // namespace
}  // namespace nuri::kernels
