#include "models/llava/next_image_processor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace nuri {
namespace {

constexpr const char* kType = "LlavaNextImageProcessor";
constexpr int64_t kMostValues = int64_t{1} << 32;

ImageProcessorConfig read_tile_config(const ConfigReader& reader) {
  ImageProcessorConfig config = read_image_processor_config(reader, kType);
  if (config.type != kType) reader.reject("image_processor_type", kType);
  config.pad_batch = false;  // do_pad is about the number of tiles here, and the model's processor always pads it
  return config;
}

// Of each of N pictures its tiles' values, `each` of them a tile, and zeros up to the number of the largest.
std::vector<float> padded(const PixelValues& tiles, const std::vector<int64_t>& counts, int64_t most) {
  int64_t each = tiles.shape[1] * tiles.shape[2] * tiles.shape[3];
  auto pictures = static_cast<int64_t>(counts.size());
  if (each > 0 && most > kMostValues / each / std::max<int64_t>(pictures, 1))
    throw Error(ErrorKind::resource,
                fmt::format("pictures: found {} of {} tiles each, expected at most {} values in all", pictures, most,
                            kMostValues));
  std::vector<float> values(static_cast<size_t>(pictures * most * each));
  auto from = tiles.values.begin();
  for (int64_t i = 0; i < pictures; ++i) {
    std::copy_n(from, counts[i] * each, values.begin() + i * most * each);
    from += counts[i] * each;
  }
  return values;
}

}  // namespace

LlavaNextImageProcessor LlavaNextImageProcessor::from_folder(const std::filesystem::path& folder) {
  return LlavaNextImageProcessor(read_processor_file(folder));
}

LlavaNextImageProcessor::LlavaNextImageProcessor(const ConfigReader& reader)
    : tile_processor_(read_tile_config(reader), reader.assumed()) {
  const ImageProcessorConfig& config = tile_processor_.config();
  const ResizeRule& size = config.size;
  bool fixed = size.height && size.width;
  if (!fixed && !size.shortest_edge) reader.reject("size", "a number, height and width, or shortest_edge");
  whole_ = fixed ? Resolution{*size.height, *size.width} : Resolution{*size.shortest_edge, *size.shortest_edge};
  constexpr int64_t kUsualCrop = 224;  // which the reference takes for the tile even where it does not crop
  tile_ = config.crop_height > 0 ? config.crop_height : kUsualCrop;
  pinpoints_ = read_pinpoints(reader, tile_);
}

void LlavaNextImageProcessor::append_tiles(const Image& picture, std::vector<Image>& tiles) const {
  Resample resample = tile_processor_.config().resample;
  Image rgb = tile_processor_.rgb(picture);
  tiles.push_back(resize(rgb, whole_.width, whole_.height, resample));
  Resolution source{rgb.height, rgb.width}, grid = best_resolution(source, pinpoints_), fit = fitted(source, grid);
  Image resized = resize(rgb, fit.width, fit.height, resample);
  Image canvas(grid.width, grid.height, 3);
  int64_t left = (grid.width - fit.width) / 2, top = (grid.height - fit.height) / 2;
  for (int64_t y = 0; y < fit.height; ++y)
    std::copy_n(resized.row(y), resized.row_bytes(), canvas.row(top + y) + left * 3);
  cut_into_tiles(canvas, tile_, tile_, tiles);
}

PreparedPictures LlavaNextImageProcessor::prepare(std::span<const Image> pictures) const {
  PreparedPictures prepared;
  std::vector<Image> tiles;
  std::vector<int64_t> counts, sizes;
  for (const Image& picture : pictures) {
    auto before = static_cast<int64_t>(tiles.size());
    append_tiles(picture, tiles);
    counts.push_back(static_cast<int64_t>(tiles.size()) - before);
    sizes.insert(sizes.end(), {picture.height, picture.width});
    // Boxes refer to the tile of the whole.
    PictureGeometry geometry = tile_processor_.geometry(whole_.width, whole_.height);
    geometry.source_width = geometry.padded_width = picture.width;
    geometry.source_height = geometry.padded_height = picture.height;
    prepared.geometry.push_back(geometry);
  }
  auto count = static_cast<int64_t>(pictures.size());
  int64_t most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
  PixelValues pixels = tile_processor_(tiles);
  prepared.arrays.push_back(
      {"pixel_values", {count, most, pixels.shape[1], pixels.shape[2], pixels.shape[3]}, padded(pixels, counts, most)});
  prepared.arrays.push_back({"image_sizes", {count, 2}, std::move(sizes)});
  return prepared;
}

}  // namespace nuri
