#include "models/parts/processors/image_processor.h"

#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"

namespace nuri {
namespace {

constexpr int64_t kMaxOutputPixels = 100'000'000;
constexpr int64_t kMaxPaddedPixels = 400'000'000;

// ---- sizes, with the rounding of the reference (image_transforms.py)

struct Size {
  int64_t height, width;
};

// int(a * b / c) of Python: exact product, one rounded division, cut.
int64_t scaled(int64_t a, int64_t b, int64_t c) {
  return static_cast<int64_t>(static_cast<double>(a * b) / static_cast<double>(c));
}

Size size_by_short_edge(Size from, int64_t edge) {
  if (from.width <= from.height) return {scaled(edge, from.height, from.width), edge};
  return {edge, scaled(edge, from.width, from.height)};
}

// get_size_with_aspect_ratio
Size size_by_both_edges(Size from, int64_t edge, int64_t longest) {
  auto shorter = static_cast<double>(std::min(from.height, from.width));
  auto longer = static_cast<double>(std::max(from.height, from.width));
  double exact = static_cast<double>(edge);
  if (longer / shorter * exact > static_cast<double>(longest)) {
    exact = static_cast<double>(longest) * shorter / longer;
    edge = static_cast<int64_t>(std::nearbyint(exact));
  }
  auto other = [&](int64_t a, int64_t b) {
    return static_cast<int64_t>(exact * static_cast<double>(a) / static_cast<double>(b));
  };
  if (std::min(from.height, from.width) == edge) return from;
  if (from.width < from.height) return {other(from.height, from.width), edge};
  return {edge, other(from.width, from.height)};
}

Size size_within(Size from, int64_t max_height, int64_t max_width) {
  double scale = std::min(static_cast<double>(max_height) / static_cast<double>(from.height),
                          static_cast<double>(max_width) / static_cast<double>(from.width));
  return {static_cast<int64_t>(static_cast<double>(from.height) * scale),
          static_cast<int64_t>(static_cast<double>(from.width) * scale)};
}

Size resized_size(const ResizeRule& rule, Size from) {
  if (rule.shortest_edge && rule.longest_edge) return size_by_both_edges(from, *rule.shortest_edge, *rule.longest_edge);
  if (rule.shortest_edge) return size_by_short_edge(from, *rule.shortest_edge);
  if (rule.max_height && rule.max_width) return size_within(from, *rule.max_height, *rule.max_width);
  return {*rule.height, *rule.width};
}

int64_t floor_half(int64_t value) { return (value - (value & 1)) / 2; }

// ---- pixels

}  // namespace

Image over_white(const Image& image) {
  if (image.channels != 4) return to_rgb(image);
  Image rgb(image.width, image.height, 3);
  const uint8_t* from = image.pixels.data();
  for (size_t i = 0; i < rgb.pixels.size(); i += 3, from += 4) {
    uint32_t alpha = from[3];
    for (int c = 0; c < 3; ++c) {
      uint32_t sum = from[c] * alpha + 255 * (255 - alpha) + 128;
      rgb.pixels[i + c] = static_cast<uint8_t>(((sum >> 8) + sum) >> 8);
    }
  }
  return rgb;
}

namespace {

Image padded_to_square(const Image& image, const PictureGeometry& geometry, const std::array<uint8_t, 3>& colour) {
  Image square(geometry.padded_width, geometry.padded_height, 3);
  for (size_t i = 0; i < square.pixels.size(); ++i) square.pixels[i] = colour[i % 3];
  for (int64_t y = 0; y < image.height; ++y)
    std::copy_n(image.row(y), image.row_bytes(), square.row(y + geometry.pad_top) + geometry.pad_left * 3);
  return square;
}

// The part of the resized picture that the output shows.
Rect visible_part(const PictureGeometry& g) {
  Rect part;
  part.left = std::max<int64_t>(g.crop_left, 0);
  part.top = std::max<int64_t>(g.crop_top, 0);
  part.width = std::min(g.resized_width, g.crop_left + g.output_width) - part.left;
  part.height = std::min(g.resized_height, g.crop_top + g.output_height) - part.top;
  return part;
}

// ---- files

std::string type_for_model(const std::filesystem::path& folder) {
  auto path = folder / "config.json";
  if (!std::filesystem::exists(path)) return "";
  ConfigReader config(read_json_file(path), path.string());
  std::string model = config.maybe<std::string>("model_type").value_or("");
  if (model == "clip" || model == "clip_vision_model" || model == "vipllava") return "CLIPImageProcessor";
  if (model == "siglip" || model == "siglip_vision_model") return "SiglipImageProcessor";
  if (model == "llava") return "LlavaImageProcessor";
  if (model == "vit") return "ViTImageProcessor";
  if (model == "bit") return "BitImageProcessor";
  if (model == "blip-2" || model == "instructblip") return "BlipImageProcessor";
  return model;
}

}  // namespace

PictureGeometry::Point PictureGeometry::to_source(Point output) const {
  auto map = [](double at, int64_t crop, int64_t padded, int64_t resized, int64_t pad) {
    return (at + static_cast<double>(crop)) * static_cast<double>(padded) / static_cast<double>(resized) -
           static_cast<double>(pad);
  };
  return {map(output.x, crop_left, padded_width, resized_width, pad_left),
          map(output.y, crop_top, padded_height, resized_height, pad_top)};
}

PictureGeometry::Point PictureGeometry::to_output(Point source) const {
  auto map = [](double at, int64_t crop, int64_t padded, int64_t resized, int64_t pad) {
    return (at + static_cast<double>(pad)) * static_cast<double>(resized) / static_cast<double>(padded) -
           static_cast<double>(crop);
  };
  return {map(source.x, crop_left, padded_width, resized_width, pad_left),
          map(source.y, crop_top, padded_height, resized_height, pad_top)};
}

ConfigReader read_processor_file(const std::filesystem::path& folder) {
  auto nested = folder / "processor_config.json", own = folder / "preprocessor_config.json";
  if (std::filesystem::exists(nested)) {
    ConfigReader reader(read_json_file(nested), nested.string());
    if (reader.has("image_processor")) return reader.child("image_processor");
  }
  if (!std::filesystem::exists(own))
    throw Error(ErrorKind::usage, fmt::format("{}: found no preprocessor_config.json and no processor_config.json with "
                                              "image_processor, expected one of them",
                                              folder.string()));
  return ConfigReader(read_json_file(own), own.string());
}

ImageProcessor ImageProcessor::from_folder(const std::filesystem::path& folder) {
  ConfigReader reader = read_processor_file(folder);
  bool named = reader.has("image_processor_type") || reader.has("feature_extractor_type");
  auto config = read_image_processor_config(reader, named ? "" : type_for_model(folder));
  if (config.cuts_tiles) reader.reject("image_processor_type", "one that cuts no tiles, for this kind of model");
  return ImageProcessor(std::move(config), reader.assumed());
}

void cut_into_tiles(const Image& picture, int64_t tile_width, int64_t tile_height, std::vector<Image>& tiles) {
  for (int64_t top = 0; top < picture.height; top += tile_height)
    for (int64_t left = 0; left < picture.width; left += tile_width) {
      Image tile(tile_width, tile_height, picture.channels);
      for (int64_t y = 0; y < tile_height; ++y)
        std::copy_n(picture.row(top + y) + left * picture.channels, tile.row_bytes(), tile.row(y));
      tiles.push_back(std::move(tile));
    }
}

ImageProcessor::ImageProcessor(ImageProcessorConfig config, std::vector<std::string> assumed)
    : config_(std::move(config)), assumed_(std::move(assumed)) {
  for (int c = 0; c < 3; ++c)
    for (int byte = 0; byte < 256; ++byte) {
      // The reference rescales in double precision and normalises in single.
      float value = config_.do_rescale ? static_cast<float>(byte * config_.rescale_factor) : static_cast<float>(byte);
      if (config_.do_normalize)
        value = (value - static_cast<float>(config_.mean[c])) / static_cast<float>(config_.std[c]);
      value_of_[c][byte] = value;
    }
}

PictureGeometry ImageProcessor::geometry(int64_t width, int64_t height) const {
  PictureGeometry g{};
  g.source_width = g.padded_width = width;
  g.source_height = g.padded_height = height;
  if (config_.pad_to_square) {
    int64_t side = std::max(width, height);
    g.pad_left = (side - width) / 2, g.pad_top = (side - height) / 2;
    g.padded_width = g.padded_height = side;
    if (side > kMaxPaddedPixels / side)
      throw Error(ErrorKind::resource,
                  fmt::format("picture of {}x{}: padding makes it {}x{}, expected at most {} pixels", width, height,
                              side, side, kMaxPaddedPixels));
  }
  Size size{g.padded_height, g.padded_width};
  if (config_.do_resize) size = resized_size(config_.size, size);
  g.resized_width = g.output_width = size.width;
  g.resized_height = g.output_height = size.height;
  if (config_.do_center_crop) {
    g.output_width = config_.crop_width, g.output_height = config_.crop_height;
    g.crop_left = floor_half(size.width - g.output_width);
    g.crop_top = floor_half(size.height - g.output_height);
  }
  if (g.resized_width < 1 || g.resized_height < 1 || g.output_width > kMaxOutputPixels / g.output_height)
    throw Error(ErrorKind::resource,
                fmt::format("picture of {}x{}: {} makes it {}x{}, expected 1 to {} pixels", width, height, config_.type,
                            g.output_width, g.output_height, kMaxOutputPixels));
  return g;
}

Image ImageProcessor::rgb(const Image& picture) const {
  return config_.do_convert_rgb ? over_white(picture) : to_rgb(picture);
}

void ImageProcessor::write(const Image& source, const PictureGeometry& g, float* values, int64_t plane,
                           int64_t stride) const {
  Image image = rgb(source);
  if (config_.pad_to_square) image = padded_to_square(image, g, config_.background);
  Rect part = visible_part(g);
  image = resize(image, g.resized_width, g.resized_height, config_.resample, part, config_.style);
  int64_t left = std::max<int64_t>(-g.crop_left, 0), top = std::max<int64_t>(-g.crop_top, 0);
  for (int64_t c = 0; c < 3; ++c) {
    const auto& value_of = value_of_[static_cast<size_t>(c)];
    for (int64_t y = 0; y < g.output_height; ++y) {
      float* row = values + c * plane + y * stride;
      std::fill_n(row, g.output_width, value_of[0]);
      if (y < top || y >= top + part.height) continue;
      const uint8_t* from = image.row(y - top) + c;
      for (int64_t x = 0; x < part.width; ++x) row[left + x] = value_of[from[3 * x]];
    }
  }
}

PreparedPictures ImageProcessor::prepare(std::span<const Image> pictures) const {
  PreparedPictures prepared;
  for (const Image& picture : pictures) prepared.geometry.push_back(geometry(picture.width, picture.height));
  PixelValues pixels = (*this)(pictures);
  prepared.arrays.push_back({"pixel_values", std::move(pixels.shape), std::move(pixels.values)});
  return prepared;
}

PixelValues ImageProcessor::operator()(std::span<const Image> images) const {
  std::vector<PictureGeometry> geometries;
  int64_t height = 0, width = 0;
  for (const Image& image : images) {
    geometries.push_back(geometry(image.width, image.height));
    height = std::max(height, geometries.back().output_height);
    width = std::max(width, geometries.back().output_width);
  }
  if (config_.pad_batch && config_.pad_size) {
    auto [pad_height, pad_width] = *config_.pad_size;
    if (pad_height < height || pad_width < width)
      throw Error(ErrorKind::usage, fmt::format("pictures: found {}x{} after processing, expected at most the pad_size "
                                                "{}x{}",
                                                width, height, pad_width, pad_height));
    height = pad_height, width = pad_width;
  }
  for (const auto& g : geometries)
    if (!config_.pad_batch && (g.output_height != height || g.output_width != width))
      throw Error(ErrorKind::usage,
                  fmt::format("pictures: found sizes {}x{} and {}x{} after processing, expected equal "
                              "ones, since {} neither crops nor pads here",
                              g.output_width, g.output_height, width, height, config_.type));
  PixelValues result;
  auto count = static_cast<int64_t>(images.size());
  result.shape = {count, 3, height, width};
  if (count > 0 && height > 16 * kMaxOutputPixels / width / count)
    throw Error(ErrorKind::resource, fmt::format("pictures: found {} of {}x{} after processing, expected at most {} "
                                                 "pixels in all",
                                                 count, width, height, 16 * kMaxOutputPixels));
  result.values.resize(static_cast<size_t>(count * 3 * height * width));
  parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      write(images[i], geometries[i], result.values.data() + i * 3 * height * width, height * width, width);
  });
  return result;
}

}  // namespace nuri
