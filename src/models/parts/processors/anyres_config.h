#pragma once

#include <cstdint>
#include <vector>

#include "base/config_reader.h"

namespace nuri {

// Pictures in a grid of tiles that suits their shape, and a small one of the whole in front (LLaVA-NeXT's "AnyRes",
// Liu et al. 2024). Arithmetic and rounding are the reference's.

struct Resolution {
  int64_t height, width;
  bool operator==(const Resolution&) const = default;
};

// `image_grid_pinpoints`: the sizes that a grid may have, in pixels, each of whole tiles.
std::vector<Resolution> read_pinpoints(const ConfigReader& config, int64_t tile);

// The one of `pinpoints` in which most of a picture's pixels are kept, and fewest of its own are wasted.
Resolution best_resolution(Resolution picture, const std::vector<Resolution>& pinpoints);

// The picture as it fits into a grid of that size, its shape kept.
Resolution fitted(Resolution picture, Resolution grid);

// Rows and columns of patches that show a picture, when it was fitted into the middle of `rows` x `columns`.
struct PatchRegion {
  int64_t top, left, rows, columns;
};
PatchRegion without_padding(Resolution picture, int64_t rows, int64_t columns);

}  // namespace nuri
