#include "models/llama4/tile_processor.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "media/resize_float.h"

namespace nuri {
namespace {

constexpr int64_t kMostTiles = 1024;
constexpr int64_t kMaxCanvasPixels = 100'000'000, kMaxPixels = 1'600'000'000;

struct Canvas {
  int64_t rows, columns;
};

// Every canvas of at most so many tiles. Of canvases that fit equally well the earlier one is taken, so the order is
// the reference's: by the ratio of the sides as it comes up first, from the most tiles down.
std::vector<Canvas> canvases(int64_t most_tiles) {
  std::vector<std::pair<double, std::vector<Canvas>>> by_ratio;
  for (int64_t tiles = most_tiles; tiles > 0; --tiles)
    for (int64_t rows = 1; rows <= tiles; ++rows) {
      if (tiles % rows != 0) continue;
      double ratio = static_cast<double>(rows) / static_cast<double>(tiles / rows);
      auto place =
          std::find_if(by_ratio.begin(), by_ratio.end(), [&](const auto& entry) { return entry.first == ratio; });
      if (place == by_ratio.end()) place = by_ratio.insert(by_ratio.end(), {ratio, {}});
      place->second.push_back({rows, tiles / rows});
    }
  std::vector<Canvas> all;
  for (const auto& [ratio, some] : by_ratio) all.insert(all.end(), some.begin(), some.end());
  return all;
}

// The canvas that the picture fills with the least change of size, enlarged rather than reduced, and of these the
// smallest. In float32, as the reference computes it.
Canvas best_canvas(int64_t width, int64_t height, const CanvasRule& rule) {
  const std::vector<Canvas> all = canvases(rule.most_tiles);
  auto scale_of = [&](const Canvas& canvas) {
    float across = static_cast<float>(canvas.columns * rule.side) / static_cast<float>(width);
    float down = static_cast<float>(canvas.rows * rule.side) / static_cast<float>(height);
    return std::min(across, down);
  };
  float chosen = -1;
  for (const Canvas& canvas : all) {
    float scale = scale_of(canvas);
    bool better = rule.to_largest ? scale > chosen : scale < chosen;
    if (scale >= 1) {
      if (chosen < 1 || better) chosen = scale;
    } else if (chosen < 1) {
      chosen = std::max(chosen, scale);
    }
  }
  Canvas best{0, 0};
  for (const Canvas& canvas : all)
    if (scale_of(canvas) == chosen && (best.rows == 0 || canvas.rows * canvas.columns < best.rows * best.columns))
      best = canvas;
  return best;
}

// A length that the picture may reach. In the reference it is a tensor where the canvas bounds it, and quotients of
// tensors are float32.
struct Bound {
  int64_t length;
  bool is_tensor;
  double quotient(int64_t by) const {
    if (is_tensor) return static_cast<float>(length) / static_cast<float>(by);
    return static_cast<double>(length) / static_cast<double>(by);
  }
  double product(int64_t other, double quotient) const {
    if (is_tensor) return static_cast<float>(other) * static_cast<float>(quotient);
    return static_cast<double>(other) * quotient;
  }
};

// One side of a picture of at most `side` pixels is enlarged up to a tile's, and no further.
Bound bound_of(int64_t length, int64_t canvas, const CanvasRule& rule) {
  int64_t reach = std::max(length, rule.side);
  if (rule.to_largest || canvas < reach) return {canvas, true};
  return {reach, false};
}

float rounded_to_bfloat16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000u);
}

std::array<double, 3> read_channels(const ConfigReader& reader, const char* key) {
  auto values = reader.optional(key, std::vector<double>{0.5, 0.5, 0.5});
  if (values.size() != 3) reader.reject(key, "three numbers");
  return {values[0], values[1], values[2]};
}

int64_t read_tile_side(const ConfigReader& reader) {
  constexpr int64_t kMaxSide = 10000;
  int64_t height = 336, width = 336;
  if (!reader.has("size")) {
    reader.optional<Json>("size", {{"height", 336}, {"width", 336}});
  } else if (reader.required<Json>("size").is_number()) {
    height = width = reader.required<int64_t>("size");
  } else {
    ConfigReader size = reader.child("size");
    height = size.required<int64_t>("height"), width = size.required<int64_t>("width");
  }
  if (height != width || height < 1 || height > kMaxSide)
    reader.reject("size", fmt::format("equal height and width from 1 to {}", kMaxSide));
  return height;
}

}  // namespace

TileGrid best_grid(int64_t width, int64_t height, const CanvasRule& rule) {
  Canvas canvas = best_canvas(width, height, rule);
  if (canvas.rows * canvas.columns > kMaxCanvasPixels / rule.side / rule.side)
    throw Error(
        ErrorKind::resource,
        fmt::format("picture of {}x{}: found a canvas of {} x {} tiles of {} pixels a side, expected at most {} "
                    "pixels",
                    width, height, canvas.rows, canvas.columns, rule.side, kMaxCanvasPixels));
  Bound tall = bound_of(height, canvas.rows * rule.side, rule),
        wide = bound_of(width, canvas.columns * rule.side, rule);
  double across = wide.quotient(width), down = tall.quotient(height);
  bool wide_decides = across < down;
  if (wide.is_tensor || tall.is_tensor) wide_decides = static_cast<float>(across) < static_cast<float>(down);
  TileGrid grid{canvas.rows, canvas.columns, tall.length, wide.length};
  if (wide_decides) {
    grid.resized_height = std::min(static_cast<int64_t>(std::floor(wide.product(height, across))), tall.length);
  } else {
    grid.resized_width = std::min(static_cast<int64_t>(std::floor(tall.product(width, down))), wide.length);
  }
  grid.resized_height = std::max<int64_t>(grid.resized_height, 1);
  grid.resized_width = std::max<int64_t>(grid.resized_width, 1);
  return grid;
}

TileProcessorConfig read_tile_processor_config(const ConfigReader& reader) {
  std::string type = reader.optional<std::string>("image_processor_type", "Llama4ImageProcessor");
  if (type != "Llama4ImageProcessor" && type != "Llama4ImageProcessorFast" && type != "Llama4ImageProcessorPil")
    reader.reject("image_processor_type", "Llama4ImageProcessor");
  TileProcessorConfig c{};
  c.rule.side = read_tile_side(reader);
  c.rule.most_tiles = reader.optional<int64_t>("max_patches", 16);
  if (c.rule.most_tiles < 1 || c.rule.most_tiles > kMostTiles)
    reader.reject("max_patches", fmt::format("1 to {}", kMostTiles));
  c.rule.to_largest = reader.optional("resize_to_max_canvas", false);
  for (const char* key : {"do_resize", "do_rescale"})
    if (!reader.optional(key, true)) reader.reject(key, "true");
  if (reader.optional<int64_t>("resample", 2) != 2) reader.reject("resample", "2, bilinear");
  c.do_convert_rgb = reader.optional("do_convert_rgb", true);
  c.do_normalize = reader.optional("do_normalize", true);
  c.rescale_factor = reader.optional("rescale_factor", 1.0 / 255);
  c.mean = read_channels(reader, "image_mean");
  c.std = read_channels(reader, "image_std");
  for (double deviation : c.std)
    if (c.do_normalize && deviation == 0) reader.reject("image_std", "deviations other than 0");
  return c;
}

TileProcessor TileProcessor::from_folder(const std::filesystem::path& folder) {
  return TileProcessor(read_tile_processor_config(read_processor_file(folder)));
}

TileProcessor::TileProcessor(const TileProcessorConfig& config) : config_(config) {
  for (int c = 0; c < 3; ++c)
    for (int byte = 0; byte < 256; ++byte) {
      float value = static_cast<float>(byte) * static_cast<float>(config.rescale_factor);
      if (config.do_normalize) {
        value = rounded_to_bfloat16(value) - rounded_to_bfloat16(static_cast<float>(config.mean[c]));
        value = rounded_to_bfloat16(value) / rounded_to_bfloat16(static_cast<float>(config.std[c]));
        value = rounded_to_bfloat16(value);
      }
      value_of_[c][byte] = value;
    }
}

// The part of the image that begins at (left, top); black where it ends.
void TileProcessor::fill_tile(const Image& image, int64_t left, int64_t top, float* values) const {
  const int64_t side = config_.rule.side, plane = side * side;
  const int64_t width = std::clamp<int64_t>(image.width - left, 0, side);
  for (int64_t c = 0; c < 3; ++c) {
    const auto& value_of = value_of_[static_cast<size_t>(c)];
    for (int64_t y = 0; y < side; ++y) {
      float* row = values + c * plane + y * side;
      std::fill_n(row, side, value_of[0]);
      if (top + y >= image.height) continue;
      const uint8_t* from = image.row(top + y) + left * 3 + c;
      for (int64_t x = 0; x < width; ++x) row[x] = value_of[from[3 * x]];
    }
  }
}

void TileProcessor::fill(const Image& picture, const TileGrid& grid, float* values) const {
  const int64_t side = config_.rule.side, tile = 3 * side * side;
  const Image image = config_.do_convert_rgb ? over_white(picture) : to_rgb(picture);
  const Image resized = resize_bilinear_float(image, grid.resized_width, grid.resized_height);
  for (int64_t row = 0; row < grid.rows; ++row)
    for (int64_t column = 0; column < grid.columns; ++column, values += tile)
      fill_tile(resized, column * side, row * side, values);
  if (grid.tiles() > 1) fill_tile(resize_bilinear_float(image, side, side), 0, 0, values);
}

PreparedPictures TileProcessor::prepare(std::span<const Image> pictures) const {
  const int64_t side = config_.rule.side, tile = 3 * side * side;
  PreparedPictures prepared;
  std::vector<TileGrid> grids;
  int64_t tiles = 0;
  for (const Image& picture : pictures) {
    const TileGrid grid = grids.emplace_back(best_grid(picture.width, picture.height, config_.rule));
    tiles += grid.tiles();
    if (tiles > kMaxPixels / side / side)
      throw Error(ErrorKind::resource,
                  fmt::format("pictures: found {} that make more than {} pixels of tiles, expected "
                              "fewer",
                              pictures.size(), kMaxPixels));
    PictureGeometry g{};
    g.source_width = g.padded_width = picture.width;
    g.source_height = g.padded_height = picture.height;
    g.resized_width = grid.resized_width, g.resized_height = grid.resized_height;
    g.output_width = grid.columns * side, g.output_height = grid.rows * side;
    prepared.geometry.push_back(g);
  }
  std::vector<float> values(static_cast<size_t>(tiles * tile));
  int64_t begin = 0;
  for (size_t i = 0; i < pictures.size(); begin += grids[i++].tiles())
    fill(pictures[i], grids[i], values.data() + begin * tile);
  std::vector<int64_t> ratios;
  for (const TileGrid& grid : grids) ratios.insert(ratios.end(), {grid.rows, grid.columns});
  prepared.arrays.push_back({"pixel_values", {tiles, 3, side, side}, std::move(values)});
  prepared.arrays.push_back({"aspect_ratios", {std::ssize(grids), 2}, std::move(ratios)});
  return prepared;
}

}  // namespace nuri
