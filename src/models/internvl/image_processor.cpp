#include "models/internvl/image_processor.h"

#include <fmt/format.h>

#include "base/error.h"

namespace nuri {
namespace {

constexpr const char* kType = "GotOcr2ImageProcessor";
constexpr int64_t kMostPixels = 100'000'000;

int64_t read_count(const ConfigReader& reader, const char* key, int64_t fallback) {
  int64_t count = reader.optional(key, fallback);
  if (count < 0 || count > kMostTiles) reader.reject(key, fmt::format("a number from 0 to {}", kMostTiles));
  return count;
}

// What the published code of InternVLChatModel does to a tile: transparency is dropped, and of its processor file,
// which is written for CLIP, nothing is used.
ImageProcessorConfig chat_tile_config(int64_t side) {
  ImageProcessorConfig config{};
  config.type = "InternVLChatModel";
  config.cuts_tiles = config.do_resize = config.do_rescale = config.do_normalize = true;
  config.size.height = config.size.width = side;
  config.resample = Resample::bicubic;
  config.rescale_factor = 1.0 / 255;
  config.mean = {0.485, 0.456, 0.406};
  config.std = {0.229, 0.224, 0.225};
  return config;
}

}  // namespace

InternvlImageProcessor read_internvl_image_processor(const ConfigReader& reader) {
  ImageProcessorConfig config = read_image_processor_config(reader, kType);
  if (config.type != kType) reader.reject("image_processor_type", kType);
  if (!config.size.height || !config.size.width) reader.reject("size", "a number, or height and width");
  config.do_center_crop = config.pad_batch = false;  // which this class does not know
  // The model's processor always asks for tiles, whatever `crop_to_patches` says.
  TileRule rule{true, read_count(reader, "min_patches", 1), read_count(reader, "max_patches", 12), true};
  return {std::move(config), rule, reader.assumed()};
}

InternvlImageProcessor InternvlImageProcessor::from_folder(const std::filesystem::path& folder,
                                                           const InternvlConfig& config) {
  if (config.chat_form) return {chat_tile_config(config.vision.image_size), config.tiles};
  return read_internvl_image_processor(read_processor_file(folder));
}

InternvlImageProcessor::InternvlImageProcessor(ImageProcessorConfig config, TileRule rule,
                                               std::vector<std::string> assumed)
    : tile_processor_(config, std::move(assumed)),
      rule_(rule),
      width_(*config.size.width),
      height_(*config.size.height) {}

int64_t InternvlImageProcessor::tiles_of(int64_t width, int64_t height) const {
  return rule_.tiles_in(rule_.grid_of(width, height, width_, height_));
}

void InternvlImageProcessor::append_tiles(const Image& picture, std::vector<Image>& tiles) const {
  Image rgb = tile_processor_.rgb(picture);
  if (!rule_.cut || rule_.most <= 1) {
    tiles.push_back(std::move(rgb));
    return;
  }
  TileRule::Grid grid = rule_.grid_of(rgb.width, rgb.height, width_, height_);
  int64_t cells = grid.columns * grid.rows;
  if (height_ > kMostPixels / width_ / cells)
    throw Error(ErrorKind::resource,
                fmt::format("picture of {}x{}: found {} tiles of {}x{}, expected at most {} pixels", rgb.width,
                            rgb.height, cells, width_, height_, kMostPixels));
  Resample resample = tile_processor_.config().resample;
  cut_into_tiles(resize(rgb, grid.columns * width_, grid.rows * height_, resample), width_, height_, tiles);
  if (rule_.tiles_in(grid) > cells) tiles.push_back(resize(rgb, width_, height_, resample));
}

PreparedPictures InternvlImageProcessor::prepare(std::span<const Image> pictures) const {
  PreparedPictures prepared;
  std::vector<Image> tiles;
  for (const Image& picture : pictures) {
    append_tiles(picture, tiles);
    // Boxes refer to the whole picture.
    PictureGeometry geometry{};
    geometry.source_width = geometry.padded_width = picture.width;
    geometry.source_height = geometry.padded_height = picture.height;
    geometry.resized_width = geometry.output_width = width_;
    geometry.resized_height = geometry.output_height = height_;
    prepared.geometry.push_back(geometry);
  }
  PixelValues pixels = tile_processor_(tiles);
  prepared.arrays.push_back({"pixel_values", std::move(pixels.shape), std::move(pixels.values)});
  return prepared;
}

}  // namespace nuri
