#include "models/parts/processors/grid_image_processor.h"

#include <fmt/format.h>

#include "base/error.h"

namespace nuri {
namespace {

constexpr const char* kType = "GotOcr2ImageProcessor";
constexpr int64_t kMostCellPixels = 100'000'000;

int64_t read_count(const ConfigReader& reader, const char* key, int64_t fallback) {
  int64_t count = reader.optional(key, fallback);
  if (count < 0 || count > TileRule::kMost) reader.reject(key, fmt::format("a number from 0 to {}", TileRule::kMost));
  return count;
}

}  // namespace

GridImageProcessor read_grid_image_processor(const ConfigReader& reader) {
  ImageProcessorConfig config = read_image_processor_config(reader, kType);
  if (config.type != kType) reader.reject("image_processor_type", kType);
  if (!config.size.height || !config.size.width) reader.reject("size", "a number, or height and width");
  config.do_center_crop = config.pad_batch = false;  // which this class does not know
  // The model's processor always asks for tiles, whatever `crop_to_patches` says.
  TileRule rule{true, read_count(reader, "min_patches", 1), read_count(reader, "max_patches", 12), true};
  return {std::move(config), rule, reader.assumed()};
}

GridImageProcessor::GridImageProcessor(ImageProcessorConfig config, TileRule rule, std::vector<std::string> assumed)
    : tile_processor_(config, std::move(assumed)),
      rule_(rule),
      width_(*config.size.width),
      height_(*config.size.height) {}

void GridImageProcessor::append_tiles(const Image& picture, std::vector<Image>& tiles) const {
  Image rgb = tile_processor_.rgb(picture);
  if (!rule_.cut || rule_.most <= 1) {
    tiles.push_back(std::move(rgb));
    return;
  }
  TileRule::Grid grid = grid_of(rgb.width, rgb.height);
  int64_t cells = grid.columns * grid.rows;
  if (height_ > kMostCellPixels / width_ / cells)
    throw Error(ErrorKind::resource,
                fmt::format("picture of {}x{}: found {} tiles of {}x{}, expected at most {} pixels", rgb.width,
                            rgb.height, cells, width_, height_, kMostCellPixels));
  Resample resample = tile_processor_.config().resample;
  cut_into_tiles(resize(rgb, grid.columns * width_, grid.rows * height_, resample), width_, height_, tiles);
  if (rule_.tiles_in(grid) > cells) tiles.push_back(resize(rgb, width_, height_, resample));
}

PreparedPictures GridImageProcessor::prepare(std::span<const Image> pictures) const {
  PreparedPictures prepared;
  std::vector<Image> tiles;
  for (const Image& picture : pictures) {
    append_tiles(picture, tiles);
    TileRule::Grid grid = grid_of(picture.width, picture.height);
    PictureGeometry geometry{};
    geometry.source_width = geometry.padded_width = picture.width;
    geometry.source_height = geometry.padded_height = picture.height;
    geometry.resized_width = geometry.output_width = grid.columns * width_;
    geometry.resized_height = geometry.output_height = grid.rows * height_;
    prepared.geometry.push_back(geometry);
  }
  PixelValues pixels = tile_processor_(tiles);
  prepared.arrays.push_back({"pixel_values", std::move(pixels.shape), std::move(pixels.values)});
  return prepared;
}

}  // namespace nuri
