#include "kernels/isa/tiles_amx.h"

// Attention in matrix tiles. Scores are made the other way round, a key in each row and 16 queries beside each other,
// and so are the results: the greatest score, the sum and the weights of a query then stay in one lane of a vector, and
// two rows of weights beside each other are a tile for the product with the values.

namespace nuri::kernels::amx {
namespace {

constexpr int64_t kGroups = kAttentionQueries / 16;     // of 16 queries at a time
constexpr int64_t kSteps = kAttentionKeys / kTileStep;  // of 32 keys at a time

// How a head is packed: keys [pairs of 16][steps of width][2] tiles, values [blocks of keys][pairs of 16 columns][steps
// of keys][2] tiles.
struct Layout {
  int64_t key_steps, value_pairs, blocks;

  explicit Layout(const AttendedHead& job)
      : key_steps(whole(job.width, kTileStep)),
        value_pairs(whole(job.width, 32)),
        blocks(whole(job.keys, kAttentionKeys)) {}
  int64_t key_numbers() const { return blocks * kSteps * key_steps * 2 * kTileNumbers; }
  int64_t value_block() const { return value_pairs * kSteps * 2 * kTileNumbers; }
};

// 2^x for x <= 0, within 3e-6; what is below -126 becomes 2^-126, which is nothing beside the greatest weight, 1.
inline Vec power_of_two(Vec x) {
  const Vec bounded = max(broadcast(-126.0f), x), n = round(bounded), r = sub(bounded, n);
  Vec p = broadcast(9.5700994e-3f);  // minimax on [-0.5, 0.5]
  p = fma(p, r, broadcast(5.5917860e-2f));
  p = fma(p, r, broadcast(2.4024745e-1f));
  p = fma(p, r, broadcast(6.9312181e-1f));
  p = fma(p, r, broadcast(1.0f));
  return scale_by_power(p, n);
}

// Of two rows of weights the pairs of bfloat16, the first one below; for numbers that are not negative.
inline __m512i pair_of(Vec first, Vec second) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  const __m512i low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(first), half), 16);
  const __m512i high = _mm512_add_epi32(_mm512_castps_si512(second), half);
  return _mm512_or_si512(low, _mm512_and_si512(high, _mm512_set1_epi32(static_cast<int>(0xFFFF0000u))));
}

struct Work {
  uint16_t* queries;  // [groups][steps of width] tiles
  float* scores;      // [groups][keys][16]
  uint16_t* weights;  // [groups][steps of keys] tiles
  float* sums;        // [groups][pairs of 16 columns][2][16 columns][16]
  Vec* greatest;      // [groups]
  Vec* total;         // [groups]
};

Work work_of(const AttendedHead& job, const Layout& layout) {
  Work work{};
  float* at = job.work;
  const auto take = [&](int64_t floats) {
    float* const begin = at;
    at += floats;
    return begin;
  };
  work.greatest = reinterpret_cast<Vec*>(take(kGroups * 16));
  work.total = reinterpret_cast<Vec*>(take(kGroups * 16));
  work.queries = reinterpret_cast<uint16_t*>(take(kGroups * layout.key_steps * kTileNumbers / 2));
  work.scores = take(kGroups * kAttentionKeys * 16);
  work.weights = reinterpret_cast<uint16_t*>(take(kGroups * kSteps * kTileNumbers / 2));
  work.sums = take(kGroups * layout.value_pairs * 2 * kTileFloats);
  return work;
}

// 16 columns of 32 rows of values, a pair of rows in each word, as tile A: a column of the values in each row.
inline void pack_values(const uint16_t* from, int64_t stride, int64_t rows, int64_t numbers, uint16_t* tile) {
  __m512i r[16];
  const __mmask16 mask = first(numbers < 16 ? (numbers > 0 ? numbers : 0) : 16);
  const auto row_of = [&](int64_t row) {
    return row < rows ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from + row * stride))
                      : _mm512_setzero_si512();
  };
  for (int64_t i = 0; i < 16; ++i) r[i] = _mm512_or_si512(row_of(2 * i), _mm512_slli_epi32(row_of(2 * i + 1), 16));
  transpose(r);
  NURI_UNROLL for (int i = 0; i < 16; ++i) _mm512_store_si512(tile + i * 32, r[i]);
}

// scores of a block of keys for all groups.
void make_scores(const AttendedHead& job, const Layout& layout, const Work& work, int64_t groups, int64_t block,
                 int64_t keys) {
  const auto nothing = [](int64_t) {};
  const int64_t pairs = whole(keys, 32), q_group = layout.key_steps * kTileNumbers, group = kAttentionKeys * 16;
  const uint16_t* k = halves(job.packed) + block * kSteps * layout.key_steps * 2 * kTileNumbers;
  for (int64_t pair = 0; pair < pairs; ++pair, k += layout.key_steps * 2 * kTileNumbers) {
    for (int64_t g = 0; g < groups; g += 2) {
      const uint16_t* const q = work.queries + g * q_group;
      float* const to = work.scores + g * group + pair * 2 * kTileFloats;
      if (g + 1 < groups) {
        multiply<true, true>(k, q, q_group, layout.key_steps, to, kTileFloats, group, true, nothing);
      } else {
        multiply<true, false>(k, q, q_group, layout.key_steps, to, kTileFloats, group, true, nothing);
      }
    }
  }
}

// Which of 16 queries from `query` on see the key.
inline __mmask16 sees(int64_t query, int64_t key) {
  const int64_t blind = key - query;
  return blind <= 0 ? 0xFFFF : blind >= 16 ? 0 : static_cast<__mmask16>(0xFFFF << blind);
}

// Blinds 16 queries from `query` on to the keys behind them, of `keys` from `key` on.
void blind(float* scores, int64_t query, int64_t key, int64_t keys) {
  const Vec never = broadcast(-__builtin_inff());
  for (int64_t i = query > key ? query - key : 0; i < keys; ++i)
    _mm512_store_ps(scores + i * 16, _mm512_mask_mov_ps(never, sees(query, key + i), _mm512_load_ps(scores + i * 16)));
}

// In four chains, since one would wait for each maximum.
inline Vec greatest_of(const float* scores, int64_t keys) {
  Vec best[4];
  for (Vec& each : best) each = broadcast(-__builtin_inff());
  int64_t i = 0;
  for (; i + 4 <= keys; i += 4)
    NURI_UNROLL for (int64_t j = 0; j < 4; ++j) best[j] = max(best[j], _mm512_load_ps(scores + (i + j) * 16));
  for (; i < keys; ++i) best[0] = max(best[0], _mm512_load_ps(scores + i * 16));
  return max(max(best[0], best[1]), max(best[2], best[3]));
}

// The weights of a group for the keys from `key` on, its sums scaled to the new greatest score.
void weigh(const AttendedHead& job, const Layout& layout, const Work& work, int64_t g, int64_t query, int64_t key,
           int64_t keys) {
  const Vec scale = broadcast(job.scale * 1.44269504f);  // to powers of two
  float* const scores = work.scores + g * kAttentionKeys * 16;
  if (job.causal && key + keys - 1 > query) blind(scores, query, key, keys);
  const Vec before = work.greatest[g];
  const Vec after = max(before, greatest_of(scores, keys));
  Vec total[2] = {zero(), zero()};
  uint16_t* to = work.weights + g * kSteps * kTileNumbers;
  const auto weight = [&](int64_t i) {
    if (i >= keys) return zero();
    const Vec w = power_of_two(mul(sub(_mm512_load_ps(scores + i * 16), after), scale));
    total[i % 2] = add(total[i % 2], w);
    return w;
  };
  for (int64_t i = 0; i < keys; i += 2, to += 32) _mm512_store_si512(to, pair_of(weight(i), weight(i + 1)));
  for (int64_t i = whole(keys, 2); i < whole(keys, kTileStep) * 16; ++i, to += 32)
    _mm512_store_si512(to, _mm512_setzero_si512());
  work.greatest[g] = after;
  const Vec shrink = power_of_two(mul(sub(before, after), scale));
  work.total[g] = fma(work.total[g], shrink, add(total[0], total[1]));
  if (key == 0 || _mm512_cmp_ps_mask(before, after, _CMP_NEQ_UQ) == 0) return;  // no sums yet, or none to scale
  float* sums = work.sums + g * layout.value_pairs * 2 * kTileFloats;
  for (int64_t i = 0; i < layout.value_pairs * 32; ++i, sums += 16)
    _mm512_store_ps(sums, mul(_mm512_load_ps(sums), shrink));
}

// sums += weights times values of the block.
void add_values(const AttendedHead& job, const Layout& layout, const Work& work, int64_t groups, int64_t block,
                int64_t keys, bool first) {
  const auto nothing = [](int64_t) {};
  const int64_t steps = whole(keys, kTileStep), group = layout.value_pairs * 2 * kTileFloats;
  const uint16_t* v = halves(job.packed) + layout.key_numbers() + block * layout.value_block();
  for (int64_t pair = 0; pair < layout.value_pairs; ++pair, v += kSteps * 2 * kTileNumbers) {
    for (int64_t g = 0; g < groups; g += 2) {
      const uint16_t* const w = work.weights + g * kSteps * kTileNumbers;
      float* const to = work.sums + g * group + pair * 2 * kTileFloats;
      if (g + 1 < groups) {
        multiply<true, true>(v, w, kSteps * kTileNumbers, steps, to, kTileFloats, group, first, nothing);
      } else {
        multiply<true, false>(v, w, kSteps * kTileNumbers, steps, to, kTileFloats, group, first, nothing);
      }
    }
  }
}

void finish(const AttendedHead& job, const Layout& layout, const Work& work, int64_t g, int64_t query) {
  const Vec share = div(broadcast(1.0f), work.total[g]);
  const int64_t rows = least(16, job.queries - query);
  for (int64_t column = 0; column < job.width; column += 16) {
    const float* const sums = work.sums + (g * layout.value_pairs * 2 + column / 16) * kTileFloats;
    __m512i r[16];
    NURI_UNROLL for (int i = 0; i < 16; ++i) r[i] = _mm512_castps_si512(mul(_mm512_load_ps(sums + i * 16), share));
    transpose(r);
    with_tile_element(job.query_type, [&](auto type) {
      auto* const to = static_cast<unsigned char*>(job.out);
      for (int64_t row = 0; row < rows; ++row)
        store_some(type, to + ((query + row) * job.out_stride + column) * decltype(type)::kBytes,
                   _mm512_castsi512_ps(r[row]), least(16, job.width - column));
    });
  }
}

// Queries [query, query + 16 groups) of the head.
void attend_groups(const AttendedHead& job, const Layout& layout, const Work& work, int64_t query, int64_t groups) {
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t row = query + g * 16;
    with_tile_element(job.query_type, [&](auto type) {
      const auto* const from = static_cast<const unsigned char*>(job.query);
      for (int64_t step = 0; step < layout.key_steps; ++step)
        pack_columns(type, from + (row * job.query_stride + step * kTileStep) * decltype(type)::kBytes,
                     job.query_stride, job.queries - row, job.width - step * kTileStep,
                     work.queries + (g * layout.key_steps + step) * kTileNumbers);
    });
    work.greatest[g] = broadcast(-3e38f);  // not minus infinity, whose difference from itself is no number
    work.total[g] = zero();
  }
  const int64_t seen = job.causal ? least(job.keys, query + groups * 16) : job.keys;
  for (int64_t block = 0; block * kAttentionKeys < seen; ++block) {
    const int64_t key = block * kAttentionKeys, keys = least(kAttentionKeys, seen - key);
    make_scores(job, layout, work, groups, block, keys);
    for (int64_t g = 0; g < groups; ++g) weigh(job, layout, work, g, query + g * 16, key, keys);
    add_values(job, layout, work, groups, block, keys, block == 0);
  }
  for (int64_t g = 0; g < groups; ++g) finish(job, layout, work, g, query + g * 16);
}

}  // namespace

void pack_head(const AttendedHead& job) {
  const Layout layout(job);
  uint16_t* to = halves(job.packed);
  for (int64_t key = 0; key < layout.blocks * kAttentionKeys; key += 32) {
    for (int64_t step = 0; step < layout.key_steps; ++step, to += 2 * kTileNumbers) {
      const int64_t column = step * kTileStep;
      for (int64_t row = 0; row < 32; ++row)
        _mm512_store_si512(
            to + row * kTileStep,
            key + row < job.keys
                ? load_numbers(BFloat16{}, halves(job.key) + (key + row) * job.key_stride + column, job.width - column)
                : _mm512_setzero_si512());
    }
  }
  for (int64_t block = 0; block < layout.blocks; ++block) {
    for (int64_t pair = 0; pair < layout.value_pairs; ++pair) {
      for (int64_t step = 0; step < kSteps; ++step) {
        const int64_t key = block * kAttentionKeys + step * kTileStep;
        for (int64_t half = 0; half < 2; ++half, to += kTileNumbers) {
          const int64_t column = pair * 32 + half * 16;
          pack_values(halves(job.value) + key * job.value_stride + column, job.value_stride, job.keys - key,
                      job.width - column, to);
        }
      }
    }
  }
}

void attend_head(const AttendedHead& job, int64_t begin, int64_t end) {
  const UseTiles tiles;
  const Layout layout(job);
  const Work work = work_of(job, layout);
  for (int64_t query = begin; query < end; query += kAttentionQueries)
    attend_groups(job, layout, work, query, least(kGroups, whole(end - query, 16)));
}

}  // namespace nuri::kernels::amx
