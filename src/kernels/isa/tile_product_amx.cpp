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
// in the first-level cache, while the next one is fetched, and multiplied by all rows of x that fit the second-level
// cache.

namespace nuri::kernels::amx {
namespace {

constexpr int64_t kSteps = 8;  // of 32 columns in a block of k: 16 KiB of the weight

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

  // To the cache the rows [begin, end) of one step, or as large a part of their codes.
  void prefetch(int64_t step, int64_t begin, int64_t end) const {
    if (!job->w) {
      constexpr int64_t kLines = group_code_bytes(Coding::bfloat12) / 64;
      for (int64_t line = kLines * begin / 16; line < kLines * end / 16; ++line)
        _mm_prefetch(reinterpret_cast<const char*>(codes(line / kLines, step) + line % kLines * 64), _MM_HINT_T0);
      return;
    }
    for (int64_t i = begin; i < end; ++i)
      _mm_prefetch(reinterpret_cast<const char*>(rows() + i * job->w_stride + step * kTileStep), _MM_HINT_T0);
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

// Which part of the product a thread is at: groups of rows, columns of y, steps of k.
struct Place {
  int64_t group, groups, column, columns, step, steps;
};

Panel panel_at(const TileProduct& job, const Place& at, int64_t column) {
  return {&job, (at.column + column) * kTileStep, at.step, at.steps};
}

// sums [groups] (+)= the panel of one 32 columns times all groups.
void multiply_panel(const TileProduct& job, const Place& at, int64_t column, const Panel& next) {
  alignas(64) uint16_t w[kSteps * 2 * kTileNumbers];
  panel_at(job, at, column).copy(w);
  const int64_t x_group = kTileRows * job.k, pairs = (at.groups + 1) / 2;
  const uint16_t* x = halves(job.x) + at.group * x_group + at.step * kTileNumbers;
  float* sums = job.sums + column * at.groups * 2 * kTileFloats;
  for (int64_t i = 0; i < pairs; ++i, x += 2 * x_group, sums += 4 * kTileFloats) {
    // In the meantime some rows of the next panel come from memory.
    const int64_t begin = i * kTileStep / pairs, end = (i + 1) * kTileStep / pairs;
    const auto fetch = [&](int64_t step) {
      if (step < next.steps) next.prefetch(step, begin, end);
    };
    if (2 * i + 1 < at.groups) {
      multiply<true, true>(w, x, x_group, at.steps, sums, kTileFloats, 2 * kTileFloats, at.step == 0, fetch);
    } else {
      multiply<true, false>(w, x, x_group, at.steps, sums, kTileFloats, 2 * kTileFloats, at.step == 0, fetch);
    }
  }
}

void finish_block(const TileProduct& job, const Place& at) {
  for (int64_t group = 0; group < at.groups; ++group) {
    const int64_t row = (at.group + group) * kTileRows;
    for (int64_t column = 0; column < at.columns; ++column)
      finish_tiles(job, job.sums + (column * at.groups + group) * 2 * kTileFloats, row,
                   (at.column + column) * kTileStep, least(kTileRows, job.m - row));
  }
}

// Blocks of nearly equal size, none larger than `most`.
int64_t even_size(int64_t whole, int64_t most) {
  const int64_t blocks = (whole + most - 1) / most;
  return (whole + blocks - 1) / blocks;
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
  const int64_t all_groups = (job.m + kTileRows - 1) / kTileRows, all_steps = job.k / kTileStep;
  const int64_t groups = even_size(all_groups, kTileGroups), steps = even_size(all_steps, kSteps);
  Place at{};
  for (at.group = 0; at.group < all_groups; at.group += groups) {
    at.groups = least(groups, all_groups - at.group);
    for (at.column = begin; at.column < end; at.column += kTileColumns) {
      at.columns = least(kTileColumns, end - at.column);
      for (at.step = 0; at.step < all_steps; at.step += steps) {
        at.steps = least(steps, all_steps - at.step);
        for (int64_t column = 0; column < at.columns; ++column) {
          // The next column, or the first one of the next steps, columns or rows.
          Place then = at;
          int64_t next_column = column + 1;
          if (next_column == at.columns) {
            next_column = 0;
            then.step += steps;
            if (then.step >= all_steps) then.step = 0, then.column += kTileColumns;
            if (then.column >= end) then.column = begin, then.group += groups;
            then.steps = then.group < all_groups ? least(steps, all_steps - then.step) : 0;
          }
          multiply_panel(job, at, column, panel_at(job, then, next_column));
        }
      }
      finish_block(job, at);
    }
  }
}

}  // namespace nuri::kernels::amx
