#include "kernels/tile_attention.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "kernels/test_support.h"

namespace nuri::kernels {
namespace {

constexpr Element kType = Element::bfloat16;

using TileAttentionTest = EveryIsa;
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TileAttentionTest);  // a processor may have none
INSTANTIATE_TEST_SUITE_P(Kernels, TileAttentionTest, testing::ValuesIn(tile_isas()), isa_test_name);

// Heads beside each other in rows of all heads, as a projection gives them.
struct Case {
  int64_t queries, keys, width, heads = 1;
  bool causal = false;
  double sharpness = 1;
  int64_t window = 0;  // with causal: each sees so many keys, its own the last; 0: all
  int64_t first_seen(int64_t query) const {
    return window > 0 ? std::max<int64_t>(0, keys - queries + query + 1 - window) : 0;
  }
};

struct Tensors {
  explicit Tensors(const Case& c, Element type = kType)
      : c(c),
        type(type),
        query(type, c.queries * c.heads * c.width),
        key(kType, c.keys * c.heads * c.width, 3),
        value(kType, c.keys * c.heads * c.width, 5),
        out(type, c.queries * c.heads * c.width, 7) {
    CounterRandom random(static_cast<uint64_t>(c.queries * 131 + c.keys * 7 + c.width));
    query.set_random(random, c.sharpness);
    key.set_random(random);
    value.set_random(random);
  }

  int64_t stride() const { return c.heads * c.width; }
  void attend() {
    std::vector<TileHead> heads;
    for (int64_t h = 0; h < c.heads; ++h) {
      auto at = [&](auto& buffer, Element of) {
        return static_cast<std::byte*>(buffer.data()) + h * c.width * element_bytes(of);
      };
      heads.push_back(
          {at(query, type), at(key, kType), at(value, kType), at(out, type), stride(), stride(), stride(), stride()});
    }
    std::vector<int64_t> first_seen;
    for (int64_t query = 0; query < c.queries; ++query) first_seen.push_back(c.first_seen(query));
    tile_attention({c.queries, c.keys, c.width, scale(), c.causal, type, c.window > 0 ? first_seen.data() : nullptr},
                   heads);
  }
  float scale() const { return 1 / std::sqrt(static_cast<float>(c.width)); }

  Case c;
  Element type;
  Buffer query, key, value, out;
};

std::vector<double> expected_row(const Tensors& t, int64_t head, int64_t query) {
  auto at = [&](const Buffer& buffer, int64_t row, int64_t i) {
    return buffer.get(row * t.stride() + head * t.c.width + i);
  };
  const int64_t keys = t.c.causal ? t.c.keys - t.c.queries + query + 1 : t.c.keys;
  const int64_t first = t.c.first_seen(query);
  std::vector<double> scores(static_cast<std::size_t>(keys), -INFINITY), row(static_cast<std::size_t>(t.c.width));
  for (int64_t k = first; k < keys; ++k) {
    scores[k] = 0;
    for (int64_t i = 0; i < t.c.width; ++i) scores[k] += at(t.query, query, i) * at(t.key, k, i);
    scores[k] *= t.scale();
  }
  const double greatest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double& score : scores) total += score = std::exp(score - greatest);
  for (int64_t k = 0; k < keys; ++k)
    for (int64_t i = 0; i < t.c.width; ++i) row[i] += scores[k] / total * at(t.value, k, i);
  return row;
}

void expect_right(const Case& c) {
  SCOPED_TRACE(testing::Message() << c.queries << " " << c.keys << " " << c.width << " " << c.causal << " "
                                  << c.window);
  Tensors t(c);
  t.attend();
  for (int64_t head = 0; head < c.heads; ++head) {
    for (int64_t query = 0; query < c.queries; ++query) {
      const std::vector<double> expected = expected_row(t, head, query);
      for (int64_t i = 0; i < c.width; ++i)
        ASSERT_NEAR(t.out.get(query * t.stride() + head * c.width + i), expected[i],
                    0.01 + std::abs(expected[i]) * 0.008)
            << head << " " << query << " " << i;
    }
  }
  EXPECT_TRUE(t.out.guard_is_whole());
}

TEST_P(TileAttentionTest, IsAttentionAtEverySize) {
  for (int64_t width : {8, 40, 64, 71, 72, 80, 96, 100, 128, 256}) expect_right({37, 45, width});
  for (int64_t queries : {1, 15, 16, 17, 129}) expect_right({queries, 33, 32});
  for (int64_t keys : {1, 31, 32, 127, 128, 129, 300}) expect_right({20, keys, 64});
  expect_right({600, 200, 64, 3});  // several shares of queries of several heads
}

TEST_P(TileAttentionTest, LooksBackAlone) {
  for (int64_t length : {1, 16, 40, 128, 130, 290}) expect_right({length, length, 64, 2, true});
}

TEST_P(TileAttentionTest, LooksBackAloneBehindOthers) {
  for (int64_t keys : {41, 128, 167, 168, 300}) expect_right({40, keys, 64, 2, true});
  for (int64_t queries : {1, 16, 130}) expect_right({queries, 290, 72, 1, true});
  expect_right({600, 700, 64, 2, true});  // several shares of queries
}

TEST_P(TileAttentionTest, LooksBackSoFar) {
  for (int64_t window : {1, 5, 16, 100, 128, 131, 400}) {
    expect_right({300, 300, 32, 1, true, 1, window});
    expect_right({40, 290, 64, 2, true, 12.0, window});
  }
  expect_right({600, 700, 64, 1, true, 1, 50});  // several shares of queries
}

TEST_P(TileAttentionTest, NothingIsLeftOfTheHeadBefore) {
  for (int64_t window : {0, 20}) {  // the second one begins behind the first block of keys
    Tensors spoilt({40, 290, 64});
    for (int64_t i = 0; i < spoilt.value.count(); ++i) spoilt.value.set(i, NAN);
    spoilt.attend();
    expect_right({40, 290, 64, 1, true, 1, window});
  }
}

TEST_P(TileAttentionTest, HeadsThatShareKeys) {
  Tensors one({40, 60, 64}), other({40, 60, 64});
  for (int64_t i = 0; i < one.key.count(); ++i) other.key.set(i, one.key.get(one.key.count() - 1 - i));
  const auto head = [&](Tensors& keys, Buffer& out) {
    return TileHead{one.query.data(), keys.key.data(), one.value.data(), out.data(), 64, 64, 64, 64};
  };
  const auto attend = [&](const std::vector<TileHead>& heads) { tile_attention({40, 60, 64, one.scale()}, heads); };
  attend({head(one, one.out)});
  attend({head(other, other.out)});
  std::vector<Buffer> outs(4, Buffer(kType, one.out.count()));
  attend({head(one, outs[0]), head(one, outs[1]), head(other, outs[2]), head(one, outs[3])});
  for (int64_t i = 0; i < one.out.count(); ++i) {
    for (std::size_t which : {0, 1, 3}) ASSERT_EQ(outs[which].get(i), one.out.get(i));
    ASSERT_EQ(outs[2].get(i), other.out.get(i));
  }
}

TEST_P(TileAttentionTest, SharpScores) {
  expect_right({40, 300, 64, 1, false, 12.0});  // the greatest score moves from block to block
  expect_right({140, 140, 64, 1, true, 12.0});
}

TEST_P(TileAttentionTest, GreatScoresStayNumbers) {
  Tensors t({16, 160, 32});
  for (int64_t i = 0; i < t.query.count(); ++i) t.query.set(i, -1e15);
  for (int64_t i = 0; i < t.key.count(); ++i)
    t.key.set(i, i / 32 == 140 ? -1e15 : 1e15);  // one key in the second block
  for (auto* buffer : {&t.query, &t.key})
    for (int64_t i = 0; i < buffer->count(); ++i) buffer->set(i, rounded_to(kType, buffer->get(i)));
  t.attend();
  for (int64_t i = 0; i < t.out.count(); ++i) ASSERT_EQ(t.out.get(i), t.value.get(140 * 32 + i % 32));
}

TEST_P(TileAttentionTest, QueriesOfFloatsAreRoundedAsTheyArePacked) {
  for (bool causal : {false, true}) {
    const Case c{45, 45, 72, 2, causal};
    Tensors floats(c, Element::float32), rounded(c);
    for (int64_t i = 0; i < floats.query.count(); ++i) rounded.query.set(i, rounded_to(kType, floats.query.get(i)));
    floats.attend();
    rounded.attend();
    for (int64_t i = 0; i < floats.out.count(); ++i)
      ASSERT_EQ(rounded_to(kType, floats.out.get(i)), rounded.out.get(i)) << i;
    EXPECT_TRUE(floats.out.guard_is_whole());
  }
}

TEST_P(TileAttentionTest, AQueryDoesNotDependOnTheOthers) {
  Tensors all({150, 200, 80}), one({1, 200, 80});
  all.attend();
  for (int64_t query : {0, 17, 149}) {
    for (int64_t i = 0; i < 80; ++i) one.query.set(i, all.query.get(query * 80 + i));
    for (int64_t i = 0; i < one.key.count(); ++i) one.key.set(i, all.key.get(i)), one.value.set(i, all.value.get(i));
    one.attend();
    for (int64_t i = 0; i < 80; ++i) ASSERT_EQ(one.out.get(i), all.out.get(query * 80 + i)) << query;
  }
}

TEST_P(TileAttentionTest, RefusesWhatDoesNotFit) {
  EXPECT_TRUE(tiles_attend({1, 1, 1, 1}));
  EXPECT_FALSE(tiles_attend({1, 1, 257, 1}));
  EXPECT_FALSE(tiles_attend({1, 16385, 64, 1}));
  EXPECT_FALSE(tiles_attend({0, 1, 64, 1}));
  EXPECT_FALSE(tiles_attend({3, 2, 64, 1, true}));
  EXPECT_FALSE(tiles_attend({1, 1, 1, 1, false, Element::float16}));
  Tensors t({2, 2, 64});
  TileHead head{t.query.data(), t.key.data(), t.value.data(), t.out.data(), 64, 64, 63, 64};
  EXPECT_THROW(tile_attention({2, 2, 64, 1}, {&head, 1}), Error);
  EXPECT_THROW(tile_attention({2, 0, 64, 1}, {&head, 1}), Error);
  head.value_stride = 64;
  for (const std::vector<int64_t>& first_seen : {std::vector<int64_t>{-1, 0}, {1, 0}, {1, 1}, {0, 2}})
    EXPECT_THROW(tile_attention({2, 2, 64, 1, true, kType, first_seen.data()}, {&head, 1}), Error);
}

}  // namespace
}  // namespace nuri::kernels
