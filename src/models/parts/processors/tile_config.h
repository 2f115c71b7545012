#pragma once

#include <cstdint>

namespace nuri {

// How a picture is cut: into the grid of at most `most` tiles whose shape is nearest to its own (Chen et al. 2024).
struct TileRule {
  static constexpr int64_t kMost = 1024;  // that a configuration may ask for

  bool cut;
  int64_t least, most;
  bool thumbnail;  // a tile of the whole behind those of a grid

  struct Grid {
    int64_t columns, rows;
  };
  Grid grid_of(int64_t width, int64_t height, int64_t tile_width, int64_t tile_height) const;
  // All tiles of a picture cut so, the thumbnail among them.
  int64_t tiles_in(Grid grid) const {
    int64_t cells = grid.columns * grid.rows;
    return cells + (thumbnail && cells > 1 ? 1 : 0);
  }
};

}  // namespace nuri
