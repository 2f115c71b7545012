#include "models/parts/processors/anyres_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace nuri {
namespace {

constexpr int64_t kMostPixels = 100'000'000;
constexpr size_t kMostPinpoints = 1000;

// int(round(x, 7)) of Python, which rounds the decimal digits.
int64_t whole_of(double x) { return static_cast<int64_t>(std::strtod(fmt::format("{:.7f}", x).c_str(), nullptr)); }

double ratio(int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); }

}  // namespace

std::vector<Resolution> read_pinpoints(const ConfigReader& config, int64_t tile) {
  constexpr const char* kKey = "image_grid_pinpoints";
  std::vector<Resolution> pinpoints;
  Json list = config.optional<Json>(kKey, {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}});
  if (!list.is_array()) config.reject(kKey, "a list of pairs of height and width");
  for (const Json& sides : list) {
    bool fits = sides.is_array() && sides.size() == 2;
    for (size_t i = 0; fits && i < 2; ++i) {
      int64_t side = sides[i].is_number_integer() ? sides[i].get<int64_t>() : 0;
      fits = side >= tile && side <= kMostPixels && side % tile == 0;
    }
    if (!fits || sides[0].get<int64_t>() > kMostPixels / sides[1].get<int64_t>())
      config.reject(kKey, fmt::format("pairs of height and width, multiples of the tile's {} pixels, with at most {} "
                                      "pixels in all",
                                      tile, kMostPixels));
    pinpoints.push_back({sides[0].get<int64_t>(), sides[1].get<int64_t>()});
  }
  if (pinpoints.empty() || pinpoints.size() > kMostPinpoints)
    config.reject(kKey, fmt::format("1 to {} pairs of height and width", kMostPinpoints));
  return pinpoints;
}

Resolution best_resolution(Resolution picture, const std::vector<Resolution>& pinpoints) {
  Resolution best = pinpoints.front();
  int64_t most_kept = -1, least_wasted = 0;
  for (const Resolution& grid : pinpoints) {
    double scale = std::min(ratio(grid.width, picture.width), ratio(grid.height, picture.height));
    auto width = static_cast<int64_t>(static_cast<double>(picture.width) * scale);
    auto height = static_cast<int64_t>(static_cast<double>(picture.height) * scale);
    int64_t kept = std::min(width * height, picture.width * picture.height);
    int64_t wasted = grid.width * grid.height - kept;
    if (kept < most_kept || (kept == most_kept && wasted >= least_wasted)) continue;
    most_kept = kept, least_wasted = wasted, best = grid;
  }
  return best;
}

Resolution fitted(Resolution picture, Resolution grid) {
  double across = ratio(grid.width, picture.width), down = ratio(grid.height, picture.height);
  auto scaled = [](int64_t side, double scale) {
    return static_cast<int64_t>(std::ceil(static_cast<double>(side) * scale));
  };
  if (across < down) return {std::min(scaled(picture.height, across), grid.height), grid.width};
  return {grid.height, std::min(scaled(picture.width, down), grid.width)};
}

PatchRegion without_padding(Resolution picture, int64_t rows, int64_t columns) {
  PatchRegion region{0, 0, rows, columns};
  if (ratio(picture.width, picture.height) > ratio(columns, rows)) {
    int64_t shown = whole_of(static_cast<double>(picture.height) * ratio(columns, picture.width));
    region.top = (rows - shown) / 2;
    region.rows -= 2 * region.top;
  } else {
    int64_t shown = whole_of(static_cast<double>(picture.width) * ratio(rows, picture.height));
    region.left = (columns - shown) / 2;
    region.columns -= 2 * region.left;
  }
  return region;
}

}  // namespace nuri
