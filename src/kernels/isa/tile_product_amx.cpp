#include "kernels/isa/fetch_ahead.h"
#include "kernels/isa/octet_avx512.h"
#include "kernels/isa/tiles_amx.h"

#include "kernels/isa/exponential.inc"
// Behind it, since it needs the above.
#include "kernels/isa/epilogue.inc"

// Products of bfloat16 in the tiles of AMX. A tile of the weight is 32 columns of 16 of its rows, as they lie in
// memory; a tile of x holds 16 of its rows in columns, two neighbouring numbers of a row beside each other. Their
// product is therefore a tile of y the other way round: 16 columns of y in its rows.
//
// What bounds it is the way of the weight from memory: of 32 rows a short block of k is copied to where its tiles stay
// in the first-level cache, while the next one is fetched, and multiplied by all rows of x; of these a part of k stays
// in the second-level cache, beyond which reading is five times slower, while many rows of the weight pass by.

namespace nuri::kernels::amx {
namespace {

constexpr int64_t kSteps = 8;         // of 32 columns in a block of k: 16 KiB of the weight
constexpr int64_t kKeptTiles = 1024;  // 1 MiB of x

// 32 rows of the weight, `steps` times 32 columns of each.
struct Panel {
  const TileProduct* job;
  int64_t row, first, steps;  // of the weight's rows and steps

  const uint16_t* rows() const { return halves(job->w) + row * job->w_stride + first * kTileStep; }
  int64_t panel(int64_t half) const { return row / kPanelRows + half; }
  const uint8_t* codes(int64_t half, int64_t step) const {
    return job->codes + (panel(half) * (job->k / kCodeGroup) + first + step) * group_code_bytes(Coding::bfloat12);
  }
  const uint8_t* exponents(int64_t half) const {
    return job->exponents + panel(half) * panel_scale_bytes(Coding::bfloat12, job->k / kCodeGroup);
  }

  Runs runs() const {
    if (job->w) return {rows(), kTileStep, steps * kTileStep * 2, job->w_stride * 2};
    return {codes(0, 0), 2, steps * group_code_bytes(Coding::bfloat12), codes(1, 0) - codes(0, 0)};
  }
  // As tiles, [steps][2]. In memory the rows of a tile may all fall on one set of the first-level cache.
  void copy(uint16_t* tiles) const {
    if (!job->w) return unpack(tiles);
    const uint16_t* const from = rows();
    for (int64_t i = 0; i < kTileStep; ++i) {
      uint16_t* const to = tiles + i / 16 * kTileNumbers + i % 16 * kTileStep;
      for (int64_t step = 0; step < steps; ++step)
        _mm512_store_si512(to + step * 2 * kTileNumbers,
                           _mm512_loadu_si512(from + i * job->w_stride + step * kTileStep));
    }
  }
  void unpack(uint16_t* tiles) const {
    for (int64_t half = 0; half < 2; ++half) {
      const uint8_t* const greatest = exponents(half);
      for (int64_t step = 0; step < steps; ++step) {
        const uint8_t* const group = codes(half, step);
        const Bases bases = bases_of(greatest + (first + step) * kPanelRows);
        __m512i r[16];
        NURI_UNROLL for (int i = 0; i < 4; ++i) {
          const Octet octet = octet_at(group + i * kOctetBytes);
          r[4 * i] = words_of<0>(octet, bases), r[4 * i + 1] = words_of<1>(octet, bases);
          r[4 * i + 2] = words_of<2>(octet, bases), r[4 * i + 3] = words_of<3>(octet, bases);
        }
        transpose(r);
        uint16_t* const to = tiles + (step * 2 + half) * kTileNumbers;
        NURI_UNROLL for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * kTileStep, r[i]);
      }
      put_far_numbers(greatest + job->k / kCodeGroup * kPanelRows, tiles + half * kTileNumbers);
    }
  }
  void put_far_numbers(const uint8_t* far, uint16_t* tiles) const {
    for (int64_t i = 0; i < far_numbers(job->k / kCodeGroup); ++i) {
      FarNumber number;
      __builtin_memcpy(&number, far + i * static_cast<int64_t>(sizeof number), sizeof number);
      if (number.row >= kPanelRows) return;
      const int64_t step = number.column / kTileStep - first;
      if (step >= 0 && step < steps)
        tiles[step * 2 * kTileNumbers + number.row * kTileStep + number.column % kTileStep] = number.bits;
    }
  }
};

// Tiles of sums [2][16 columns, 16 rows] to `rows` rows of y from `m`, 32 columns of each from `n`.
inline void finish_tiles(const TileProduct& job, const float* sums, int64_t m, int64_t n, int64_t rows) {
  const Vec bias[2] = {bias_of(job, n, kLanes), bias_of(job, n + kLanes, kLanes)};
  __m512i left[16], right[16];
  NURI_UNROLL for (int i = 0; i < 16; ++i) left[i] = _mm512_load_si512(sums + i * 16);
  transpose(left);
  NURI_UNROLL for (int i = 0; i < 16; ++i) right[i] = _mm512_load_si512(sums + kTileFloats + i * 16);
  transpose(right);
  with_element(job.y.type, [&](auto type) {
    for (int64_t row = 0; row < rows; ++row) {
      finish(type, job, m + row, n, kLanes, add(_mm512_castsi512_ps(left[row]), bias[0]));
      finish(type, job, m + row, n + kLanes, kLanes, add(_mm512_castsi512_ps(right[row]), bias[1]));
    }
  });
}

// Blocks of nearly equal size, none larger than `most`.
int64_t even_size(int64_t whole, int64_t most) {
  const int64_t blocks = (whole + most - 1) / most;
  return (whole + blocks - 1) / blocks;
}

// Which part of the product a thread is at: groups of rows; among so many steps of k, and 32 columns of y that pass by
// them, these.
struct Place {
  int64_t group, groups;
  int64_t first_step, last_step, first_column, last_column;
  int64_t step, steps, column;
};

// The order of a thread's work.
struct Order {
  int64_t begin, end, all_groups, all_steps;

  Place at_group(int64_t group) const {
    Place at{};
    at.group = group;
    at.groups = least(even_size(all_groups, kTileGroups), all_groups - group);
    return at_columns(at, begin);
  }
  Place at_columns(Place at, int64_t column) const {
    at.first_column = column;
    at.last_column = least(column + kTileColumns, end);
    return at_steps(at, 0);
  }
  Place at_steps(Place at, int64_t step) const {
    at.first_step = step;
    at.last_step = least(step + kept(at), all_steps);
    return at_column(at, at.first_column);
  }
  Place at_column(Place at, int64_t column) const {
    at.column = column;
    return at_step(at, at.first_step);
  }
  Place at_step(Place at, int64_t step) const {
    at.step = step;
    at.steps = least(even_size(at.last_step - at.first_step, kSteps), at.last_step - step);
    return at;
  }
  // Steps of which x stays in the second-level cache.
  int64_t kept(const Place& at) const { return even_size(all_steps, kKeptTiles / at.groups); }
  bool sums_stay(const Place& at) const { return kept(at) == all_steps; }

  // False: there is nothing behind it.
  bool advance(Place& at) const {
    if (at.step + at.steps < at.last_step) {
      at = at_step(at, at.step + at.steps);
    } else if (at.column + 1 < at.last_column) {
      at = at_column(at, at.column + 1);
    } else if (at.last_step < all_steps) {
      at = at_steps(at, at.last_step);
    } else if (at.last_column < end) {
      at = at_columns(at, at.last_column);
    } else {
      if (at.group + at.groups >= all_groups) return false;
      at = at_group(at.group + at.groups);
    }
    return true;
  }
};

Panel panel_at(const TileProduct& job, const Place& at) { return {&job, at.column * kTileStep, at.step, at.steps}; }

// sums [groups][2] (+)= the panel times all groups; in the meantime the next panel comes from memory.
void multiply_panel(const TileProduct& job, const Place& at, float* sums, const Runs& next) {
  alignas(64) uint16_t w[kSteps * 2 * kTileNumbers];
  panel_at(job, at).copy(w);
  const int64_t x_group = kTileRows * job.k, pairs = (at.groups + 1) / 2;
  const uint16_t* x = halves(job.x) + at.group * x_group + at.step * kTileNumbers;
  FetchAhead ahead(next, pairs * at.steps);
  const auto fetch = [&](int64_t) { ahead.step(); };
  for (int64_t i = 0; i < pairs; ++i, x += 2 * x_group, sums += 4 * kTileFloats) {
    if (2 * i + 1 < at.groups) {
      multiply<true, true>(w, x, x_group, at.steps, sums, kTileFloats, 2 * kTileFloats, at.step == 0, fetch);
    } else {
      multiply<true, false>(w, x, x_group, at.steps, sums, kTileFloats, 2 * kTileFloats, at.step == 0, fetch);
    }
  }
}

void finish_panel(const TileProduct& job, const Place& at, const float* sums) {
  const int64_t n = at.column * kTileStep;
  for (int64_t group = 0; group < at.groups; ++group) {
    const int64_t row = (at.group + group) * kTileRows, next = row + kTileRows;
    fetch_results(job, next, least(kTileRows, job.m - next), n, kTileStep);
    finish_tiles(job, sums + group * 2 * kTileFloats, row, n, least(kTileRows, job.m - row));
  }
}

}  // namespace

void pack_tiles(const TileRows& job, int64_t begin, int64_t end) {
  with_tile_element(job.type, [&](auto type) {
    constexpr int64_t kBytes = decltype(type)::kBytes;
    for (int64_t group = begin; group < end; ++group) {
      const auto* const from = static_cast<const unsigned char*>(job.x) + group * kTileRows * job.stride * kBytes;
      uint16_t* const to = halves(job.packed) + group * kTileRows * job.k;
      for (int64_t k = 0; k < job.k; k += kTileStep)
        pack_columns(type, from + k * kBytes, job.stride, job.m - group * kTileRows, kTileStep, to + k * kTileRows);
    }
  });
}

void tile_product(const TileProduct& job, int64_t begin, int64_t end) {
  const UseTiles tiles;
  const Order order{begin, end, (job.m + kTileRows - 1) / kTileRows, job.k / kTileStep};
  Place at = order.at_group(0);
  for (bool more = begin < end; more;) {
    Place then = at;
    more = order.advance(then);
    float* const sums =
        job.sums + (order.sums_stay(at) ? 0 : at.column - at.first_column) * at.groups * 2 * kTileFloats;
    multiply_panel(job, at, sums, more ? panel_at(job, then).runs() : Runs{});
    if (at.step + at.steps == order.all_steps) finish_panel(job, at, sums);
    at = then;
  }
}

}  // namespace nuri::kernels::amx
