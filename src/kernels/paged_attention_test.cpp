#include "kernels/paged_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
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
  int64_t sinks = 0;
  bool coded = false;  // the cache holds codes of 8 bits; `cache` is then float32
  // Whether the active set multiplies pairs of bfloat16, to which it rounds queries and weights.
  bool in_pairs() const {
    return has_tiles(active_isa()) && !coded && cache == Element::bfloat16 && dim % 32 == 0 && dim <= 256;
  }
  int64_t first(int64_t length) const { return window > 0 ? std::max<int64_t>(0, length - window) : 0; }
};

// A cache whose unused places hold NaN, so that reading one shows, and sequences whose blocks lie in random order.
struct Fixture {
  Fixture(const Case& c, uint64_t seed)
      : blocks(count_blocks(c)),
        keys(c.cache, blocks * c.kv_heads * 16 * c.dim),
        values(c.cache, keys.count()),
        codes(static_cast<std::size_t>(2 * keys.count()), -128),
        scales(static_cast<std::size_t>(2 * blocks * c.kv_heads * 16), NAN),
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
        for (int64_t head = 0; head < c.kv_heads; ++head) {
          const int64_t place = index(c, tables.back(), p, head);
          set(keys, 0, place, c, random);
          set(values, keys.count(), place, c, random);
        }
      }
    }
  }
  // One position of one head of keys or values, whose codes begin at `first`.
  void set(Buffer& numbers, int64_t first, int64_t place, const Case& c, CounterRandom& random) {
    const double scale = static_cast<double>(random.between(1, 64)) / 4096;  // so that its products are exact
    if (c.coded) scales[static_cast<std::size_t>((first + place) / c.dim)] = static_cast<float>(scale);
    for (int64_t i = place; i < place + c.dim; ++i) {
      const auto code = static_cast<int8_t>(random.between(-127, 127));
      if (c.coded) codes[static_cast<std::size_t>(first + i)] = code;
      numbers.set(i, c.coded ? code * scale : rounded_to(c.cache, random.normal()));
    }
  }
  PagedCache cache(const Case& c) const {
    if (!c.coded) return {keys.data(), values.data(), c.cache, blocks, c.kv_heads, c.dim};
    const float* const middle = scales.data() + scales.size() / 2;
    return {codes.data(), codes.data() + keys.count(), {}, blocks, c.kv_heads, c.dim, scales.data(), middle};
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
  Buffer keys, values;
  std::vector<int8_t> codes;  // of all keys, then of all values
  std::vector<float> scales;
  Buffer q, out;
  std::vector<std::vector<int32_t>> tables;
};

void check(const Case& c, uint64_t seed) {
  Fixture f(c, seed);
  const int64_t row = c.heads * c.dim;
  std::vector<PagedQuery> queries;
  for (std::size_t s = 0; s < c.lengths.size(); ++s) {
    const auto place = static_cast<int64_t>(s) * row * element_bytes(c.q);
    queries.push_back({static_cast<std::byte*>(f.q.data()) + place, static_cast<std::byte*>(f.out.data()) + place,
                       f.tables[s].data(), c.lengths[s], c.first(c.lengths[s]), c.sinks});
  }
  const float scale = 1.0f / std::sqrt(static_cast<float>(c.dim));
  paged_attention(f.cache(c), queries, c.heads, c.q, scale);
  for (std::size_t s = 0; s < c.lengths.size(); ++s) {
    std::vector<int64_t> seen;
    for (int64_t p = 0; p < c.lengths[s]; ++p) {
      if (p >= c.first(c.lengths[s]) || p < c.sinks) seen.push_back(p);
    }
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t kv = h / (c.heads / c.kv_heads), place = static_cast<int64_t>(s) * row + h * c.dim;
      std::vector<double> weights;
      for (int64_t p : seen) {
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
        for (std::size_t i = 0; i < seen.size(); ++i) {
          expected += weights[i] / total * f.values.get(Fixture::index(c, f.tables[s], seen[i], kv) + d);
        }
        const double unit = c.q == Element::float32 ? 0 : c.q == Element::float16 ? 0x1p-11 : 0x1p-8;
        const double exact = c.in_pairs() ? 0.01 : 3e-6;
        ASSERT_NEAR(f.out.get(place + d), expected, exact * c.sharpness + std::abs(expected) * unit)
            << "length " << c.lengths[s] << ", head " << h << ", d " << d;
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

TEST_P(PagedAttention, GroupsOfWidePositions) {
  for (int64_t group = 1; group <= 17; ++group) {
    check({{37, 100}, 2 * group, 2, 64}, static_cast<uint64_t>(group));
    check({{1, 33, 90}, group, 1, 96, Element::bfloat16, Element::bfloat16, 21, 1.0, 5}, 3);
  }
  check({{600, 300}, 4, 2, 160}, 4);
}

TEST_P(PagedAttention, Types) {
  for (Element cache : all_elements()) {
    for (Element q : all_elements()) check({{50, 3}, 8, 2, 20, cache, q}, 4);
  }
}

TEST_P(PagedAttention, Windows) {
  for (int64_t window : {1, 2, 15, 16, 17, 40, 1000}) check({{1, 16, 33, 90}, 4, 2, 16, {}, {}, window}, 5);
}

TEST_P(PagedAttention, LongSequencesInParts) {
  check({{255, 256, 257, 300, 513, 1100}, 4, 2, 16}, 3);
  check({{700, 20, 1100}, 6, 2, 24, Element::float32, Element::float32, 0, 40.0}, 4);  // one part outweighs the others
  for (int64_t window : {256, 300, 600}) check({{290, 700, 1100}, 4, 2, 16, {}, {}, window, 1.0, 21}, 5);
  check({{400, 900}, 4, 2, 16, Element::float32, {}, 0, 1.0, 0, true}, 6);
}

TEST_P(PagedAttention, SharpScores) { check({{100, 64}, 4, 2, 32, Element::float32, Element::float32, 0, 40.0}, 6); }

TEST_P(PagedAttention, SinksBesideTheWindow) {
  for (int64_t sinks : {1, 4, 16, 21, 1000}) {
    for (int64_t window : {0, 1, 17, 40}) {
      check({{0, 1, 16, 33, 90}, 4, 2, 16, {}, {}, window, 1.0, sinks}, 7);
      check({{1, 33, 90}, 4, 2, 16, Element::float32, {}, window, 1.0, sinks, true}, 8);
    }
  }
}

TEST_P(PagedAttention, Codes) {
  std::vector<int64_t> lengths(40);
  std::iota(lengths.begin(), lengths.end(), 0);
  const auto coded = [](std::vector<int64_t> sequences, int64_t heads, int64_t kv_heads, int64_t dim) {
    return Case{std::move(sequences), heads, kv_heads, dim, Element::float32, Element::float32, 0, 1.0, 0, true};
  };
  check(coded(lengths, 4, 2, 16), 1);
  for (int64_t group : {1, 3, 8, 17}) check(coded({37}, 2 * group, 2, 24), 2);
  for (int64_t dim : {1, 5, 8, 13, 40, 64, 72, 80, 100, 128, 256}) check(coded({35, 16}, 6, 3, dim), 3);
  for (Element q : all_elements()) {
    Case c = coded({50, 3}, 8, 2, 20);
    c.q = q;
    check(c, 4);
  }
}

// x [2, 3, dim] goes to position 15 of block 1 and position 0 of block 0.
struct Stored {
  Stored(const Buffer& x, int64_t dim) : codes(static_cast<std::size_t>(2 * 3 * 16 * dim), 99), scales(2 * 3 * 16, 7) {
    const std::vector<int64_t> blocks{1, 0}, offsets{15, 0};
    store_coded(x.data(), x.type(), blocks, offsets, {codes.data(), scales.data(), 2, 3, dim});
  }
  std::size_t place(int64_t row, int64_t head) const {
    return static_cast<std::size_t>(row == 0 ? (3 + head) * 16 + 15 : head * 16);
  }
  std::vector<int8_t> codes;
  std::vector<float> scales;
};

TEST_P(PagedAttention, CodesAreTheNearest) {
  for (Element type : all_elements()) {
    for (int64_t dim : {1, 7, 8, 15, 16, 17, 64, 100}) {
      CounterRandom random(static_cast<uint64_t>(dim));
      Buffer x(type, 2 * 3 * dim);
      x.set_random(random, 30.0);
      Stored stored(x, dim);
      for (int64_t i = 0; i < 6; ++i) {
        const std::size_t place = stored.place(i / 3, i % 3);
        double greatest = 0;
        for (int64_t d = 0; d < dim; ++d) greatest = std::max(greatest, std::abs(x.get(i * dim + d)));
        EXPECT_FLOAT_EQ(stored.scales[place], static_cast<float>(greatest / 127));
        int largest = 0;
        for (int64_t d = 0; d < dim; ++d) {
          const int code = stored.codes[place * static_cast<std::size_t>(dim) + static_cast<std::size_t>(d)];
          largest = std::max(largest, std::abs(code));
          EXPECT_NEAR(code * greatest / 127, x.get(i * dim + d), greatest / 127 * 0.50001);
        }
        EXPECT_EQ(largest, 127);
      }
      EXPECT_EQ(std::count(stored.scales.begin(), stored.scales.end(), 7),
                2 * 3 * 16 - 6);  // no other place is touched
      EXPECT_EQ(stored.codes[static_cast<std::size_t>(dim)], 99);
    }
  }
}

TEST_P(PagedAttention, CodesOfExtremeNumbers) {
  constexpr int64_t kDim = 19;
  Buffer x(Element::float32, 2 * 3 * kDim);
  for (int64_t i = 0; i < x.count(); ++i) x.set(i, 0);
  x.set(kDim + 18, INFINITY);
  x.set(2 * kDim + 3, NAN), x.set(2 * kDim + 4, 1);
  x.set(3 * kDim + 2, -FLT_MAX), x.set(3 * kDim + 7, FLT_MAX);
  x.set(4 * kDim + 5, 1e-38), x.set(5 * kDim + 17, -1e-30);
  Stored stored(x, kDim);
  const auto scale = [&](int64_t i) { return stored.scales[stored.place(i / 3, i % 3)]; };
  const auto code = [&](int64_t i, int64_t d) {
    return stored.codes[stored.place(i / 3, i % 3) * kDim + static_cast<std::size_t>(d)];
  };
  EXPECT_EQ(scale(0), 0);
  EXPECT_TRUE(std::isnan(scale(1)));
  EXPECT_TRUE(std::isnan(scale(2)));
  EXPECT_FLOAT_EQ(scale(3), FLT_MAX / 127);
  EXPECT_EQ(scale(4), 0);  // too little for a scale that is a normal number
  EXPECT_FLOAT_EQ(scale(5), 1e-30f / 127);
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(code(i, 0), 0) << i;
  for (int64_t i : {1, 2, 4}) {
    for (int64_t d = 0; d < kDim; ++d) EXPECT_EQ(code(i, d), 0) << i;
  }
  EXPECT_EQ(code(3, 2), -127);
  EXPECT_EQ(code(3, 7), 127);
  EXPECT_EQ(code(5, 17), -127);
}

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
  const PagedQuery sunk{q.data(), out.data(), &block, 5, 0, -1};
  EXPECT_THROW(paged_attention(one, {&sunk, 1}, 2, Element::float32, 1.0f), Error);
  std::vector<int8_t> codes(2 * 16 * 4);
  std::vector<float> scales(2 * 16);
  for (auto [stored_block, offset] : {std::pair<int64_t, int64_t>{2, 0}, {-1, 0}, {0, 16}, {0, -1}}) {
    EXPECT_THROW(store_coded(q.data(), Element::float32, {&stored_block, 1}, {&offset, 1},
                             {codes.data(), scales.data(), 2, 1, 4}),
                 Error);
  }
  PagedCache three = one;
  three.kv_heads = 3;
  EXPECT_THROW(paged_attention(three, {&query, 1}, 2, Element::float32, 1.0f), Error);
}

}  // namespace
}  // namespace nuri::kernels
