#include "models/mllama/image_processor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"

namespace nuri {
namespace {

constexpr int64_t kMostTiles = 1024;
constexpr const char* kType = "MllamaImageProcessor";

ImageProcessorConfig read_config(const ConfigReader& file) {
  ImageProcessorConfig config = read_image_processor_config(file, kType);
  if (config.type != kType) file.reject("image_processor_type", kType);
  for (const char* key : {"do_resize", "do_pad"})  // as the reference
    if (!file.optional(key, true)) file.reject(key, "true");
  if (!config.size.height || config.size.height != config.size.width) file.reject("size", "an equal height and width");
  config.do_center_crop = false;  // the reference has no such step here
  return config;
}

int64_t read_most_tiles(const ConfigReader& file) {
  int64_t tiles = file.optional<int64_t>("max_image_tiles", 4);
  if (tiles < 1 || tiles > kMostTiles) file.reject("max_image_tiles", fmt::format("1 to {}", kMostTiles));
  return tiles;
}

// From a picture [3, high * S, wide * S] to its tiles [high * wide, 3, S, S].
void cut(const std::vector<float>& picture, const TileArrangement& arrangement, int64_t size, float* tiles) {
  int64_t width = arrangement.wide * size, height = arrangement.high * size;
  for (int64_t row = 0; row < arrangement.high; ++row)
    for (int64_t column = 0; column < arrangement.wide; ++column)
      for (int64_t c = 0; c < 3; ++c)
        for (int64_t y = 0; y < size; ++y, tiles += size)
          std::copy_n(picture.data() + (c * height + row * size + y) * width + column * size, size, tiles);
}

}  // namespace

std::vector<TileArrangement> tile_arrangements(int64_t most) {
  std::vector<TileArrangement> all;
  for (int64_t high = 1; high <= most; ++high)
    for (int64_t wide = 1; wide <= most / high; ++wide) all.push_back({high, wide});
  return all;
}

TileArrangement best_arrangement(int64_t width, int64_t height, int64_t most_tiles, int64_t tile_size) {
  auto scale_of = [&](const TileArrangement& a) {
    return std::min(static_cast<double>(a.high * tile_size) / static_cast<double>(height),
                    static_cast<double>(a.wide * tile_size) / static_cast<double>(width));
  };
  auto better = [&](const TileArrangement& a, const TileArrangement& b) {
    double scale = scale_of(a), other = scale_of(b);
    if (scale == other) return a.high * a.wide < b.high * b.wide;
    bool grows = scale >= 1, other_grows = other >= 1;
    if (grows != other_grows) return grows;
    return grows ? scale < other : scale > other;
  };
  auto all = tile_arrangements(most_tiles);
  return *std::min_element(all.begin(), all.end(), better);
}

MllamaImageProcessor MllamaImageProcessor::from_folder(const std::filesystem::path& folder) {
  return MllamaImageProcessor(read_processor_file(folder));
}

MllamaImageProcessor::MllamaImageProcessor(const ConfigReader& file)
    : most_tiles_(read_most_tiles(file)), tile_size_(0), pixels_(read_config(file), file.assumed()) {
  tile_size_ = *pixels_.config().size.height;
}

// get_image_size_fit_to_canvas: not below a tile's size where that fits, not beyond the canvas.
PictureGeometry MllamaImageProcessor::geometry(const Image& picture, const TileArrangement& arrangement) const {
  PictureGeometry g{};
  g.source_width = g.padded_width = picture.width;
  g.source_height = g.padded_height = picture.height;
  g.output_width = arrangement.wide * tile_size_;
  g.output_height = arrangement.high * tile_size_;
  int64_t width = std::clamp(picture.width, tile_size_, g.output_width);
  int64_t height = std::clamp(picture.height, tile_size_, g.output_height);
  double scale_x = static_cast<double>(width) / static_cast<double>(picture.width);
  double scale_y = static_cast<double>(height) / static_cast<double>(picture.height);
  auto scaled = [](int64_t side, double scale, int64_t most) {
    return std::clamp<int64_t>(static_cast<int64_t>(std::floor(static_cast<double>(side) * scale)), 1, most);
  };
  g.resized_width = scale_x < scale_y ? width : scaled(picture.width, scale_y, width);
  g.resized_height = scale_x < scale_y ? scaled(picture.height, scale_x, height) : height;
  return g;
}

void MllamaImageProcessor::expect_room(size_t pictures) const {
  int64_t bytes = 0, side = tile_size_ * 3 * static_cast<int64_t>(sizeof(float));
  int64_t tiles = static_cast<int64_t>(pictures) * most_tiles_;
  if (__builtin_mul_overflow(side * tile_size_, tiles, &bytes)) bytes = std::numeric_limits<int64_t>::max();
  expect_memory(bytes, "pixel_values",
                fmt::format("{} pictures x {} tiles of {}x{}", pictures, most_tiles_, tile_size_, tile_size_));
}

PreparedPictures MllamaImageProcessor::prepare(std::span<const Image> pictures) const {
  auto count = static_cast<int64_t>(pictures.size());
  expect_room(pictures.size());
  auto known = tile_arrangements(most_tiles_);
  PreparedPictures prepared;
  std::vector<TileArrangement> arrangements;
  std::vector<int64_t> ids, mask(count * most_tiles_, 0);
  for (const Image& picture : pictures) {
    TileArrangement best = best_arrangement(picture.width, picture.height, most_tiles_, tile_size_);
    std::fill_n(mask.begin() + static_cast<int64_t>(ids.size()) * most_tiles_, best.high * best.wide, 1);
    ids.push_back(std::find(known.begin(), known.end(), best) - known.begin() + 1);
    prepared.geometry.push_back(geometry(picture, best));
    arrangements.push_back(best);
  }
  int64_t tile = 3 * tile_size_ * tile_size_;
  std::vector<float> values(static_cast<size_t>(count * most_tiles_ * tile), 0.0f);
  parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const PictureGeometry& g = prepared.geometry[i];
      int64_t plane = g.output_width * g.output_height;
      std::vector<float> whole(static_cast<size_t>(3 * plane));
      pixels_.write(pictures[i], g, whole.data(), plane, g.output_width);
      cut(whole, arrangements[i], tile_size_, values.data() + i * most_tiles_ * tile);
    }
  });
  prepared.arrays.push_back({"pixel_values", {1, count, most_tiles_, 3, tile_size_, tile_size_}, std::move(values)});
  prepared.arrays.push_back({"aspect_ratio_ids", {1, count}, std::move(ids)});
  prepared.arrays.push_back({"aspect_ratio_mask", {1, count, most_tiles_}, std::move(mask)});
  return prepared;
}

}  // namespace nuri
