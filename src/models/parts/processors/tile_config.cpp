#include "models/parts/processors/tile_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace nuri {

TileRule::Grid TileRule::grid_of(int64_t width, int64_t height, int64_t tile_width, int64_t tile_height) const {
  Grid best{1, 1};
  if (!cut || most <= 1) return best;
  std::vector<Grid> grids;
  for (int64_t columns = 1; columns <= most; ++columns)
    for (int64_t rows = 1; rows <= most / columns; ++rows)
      if (columns * rows >= least) grids.push_back({columns, rows});
  std::stable_sort(grids.begin(), grids.end(),
                   [](const Grid& a, const Grid& b) { return a.columns * a.rows < b.columns * b.rows; });
  double shape = static_cast<double>(width) / static_cast<double>(height);
  double area = static_cast<double>(width) * static_cast<double>(height);
  double nearest = std::numeric_limits<double>::infinity();
  for (const Grid& grid : grids) {
    double distance = std::fabs(shape - static_cast<double>(grid.columns) / static_cast<double>(grid.rows));
    // Of grids of the same shape the larger one, while the picture fills more than half of it.
    double cells = 0.5 * static_cast<double>(tile_width * tile_height) * static_cast<double>(grid.columns * grid.rows);
    if (distance < nearest || (distance == nearest && area > cells)) best = grid;
    nearest = std::min(nearest, distance);
  }
  return best;
}

}  // namespace nuri
