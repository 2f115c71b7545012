#include <cmath>

#include "base/error.h"
#include "models/parts/processors/image_processor.h"

namespace nuri {
namespace {

constexpr std::array<double, 3> kClipMean = {0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kClipStd = {0.26862954, 0.26130258, 0.27577711};
constexpr std::array<double, 3> kHalf = {0.5, 0.5, 0.5};

// What a class of the reference assumes for the fields that a file leaves out
// (transformers 5, models/*/image_processing_pil_*.py).
struct ClassDefaults {
  const char* type;
  PixelDefaults pixels;
  bool shortest_edge;      // size {"shortest_edge": side}, else {"height": side, "width": side}
  bool center_crop;        // to 224 x 224
  bool default_to_square;  // what a plain number as size means
  bool pads_to_square;     // the meaning of do_pad
  bool cuts_tiles = false;
  int64_t side = 224;
};

constexpr ClassDefaults kClasses[] = {
    {"CLIPImageProcessor", {kClipMean, kClipStd, 3, true}, true, true, false, false},
    {"SiglipImageProcessor", {kHalf, kHalf, 3, true}, false, false, false, false},
    {"LlavaImageProcessor", {kClipMean, kClipStd, 3, true}, true, true, false, true},
    {"ViTImageProcessor", {kHalf, kHalf, 2, false}, false, false, true, false},
    {"BitImageProcessor", {kClipMean, kClipStd, 3, true}, true, true, false, false},
    {"LlavaNextImageProcessor", {kClipMean, kClipStd, 3, true}, true, true, false, false, true},
    {"GotOcr2ImageProcessor", {kClipMean, kClipStd, 3, true}, false, false, true, false, true, 384},
    {"BlipImageProcessor", {kClipMean, kClipStd, 3, true}, false, false, true, false, false, 384},
    {"MllamaImageProcessor", {kHalf, kHalf, 2, true}, false, false, true, false, true},
};

std::string known_types() {
  std::string list;
  for (const auto& known : kClasses) list += fmt::format("{}{}", list.empty() ? "" : ", ", known.type);
  return list;
}

std::string without_ending(std::string name, std::string_view ending) {
  if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  return name;
}

const ClassDefaults& find_class(const ConfigReader& reader, const std::string& fallback) {
  const char* key = reader.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
  std::string type = reader.maybe<std::string>(key).value_or(fallback);
  // CLIPImageProcessorFast (transformers 4), CLIPImageProcessorPil (5), CLIPFeatureExtractor (before 4.27).
  type = without_ending(without_ending(type, "Fast"), "Pil");
  if (type.ends_with("FeatureExtractor")) type = without_ending(type, "FeatureExtractor") + "ImageProcessor";
  for (const auto& known : kClasses)
    if (type == known.type) return known;
  if (!reader.has(key) && !fallback.empty())
    throw Error(ErrorKind::unsupported, fmt::format("{}: found no known processor for {}, expected one of {}",
                                                    reader.where("image_processor_type"), fallback, known_types()));
  reader.reject(reader.has(key) ? key : "image_processor_type", "one of " + known_types());
}

int64_t positive(const ConfigReader& reader, std::string_view key) {
  constexpr int64_t kMaxSide = 1 << 20;
  int64_t value = reader.required<int64_t>(key);
  if (value < 1 || value > kMaxSide)
    throw Error(ErrorKind::format, fmt::format("{}: found {}, expected 1 to {}", reader.where(key), value, kMaxSide));
  return value;
}

// `size`, `crop_size` or `pad_size`: a number, [height, width], or an object of one of the known sets of keys.
ResizeRule read_size(const ConfigReader& reader, std::string_view key, bool number_is_square) {
  ResizeRule rule;
  const Json& value = reader.json().at(std::string(key));
  if (value.is_number()) {
    int64_t side = positive(reader, key);
    if (number_is_square)
      rule.height = rule.width = side;
    else
      rule.shortest_edge = side;
    return rule;
  }
  if (value.is_array()) {
    auto sides = reader.required<std::vector<int64_t>>(key);
    if (sides.size() != 2 || sides[0] < 1 || sides[1] < 1) reader.reject(key, "[height, width]");
    rule.height = sides[0], rule.width = sides[1];
    return rule;
  }
  ConfigReader object = reader.child(key);
  auto read = [&](std::string_view name) {
    return object.has(name) ? std::optional(positive(object, name)) : std::nullopt;
  };
  rule = {read("height"),       read("width"),      read("shortest_edge"),
          read("longest_edge"), read("max_height"), read("max_width")};
  bool fixed = rule.height && rule.width, bounded = rule.max_height && rule.max_width;
  if (!fixed && !bounded && !rule.shortest_edge)
    reader.reject(key, "a number, height and width, shortest_edge (and longest_edge), or max_height and max_width");
  return rule;
}

// A fixed size, for cropping and padding.
std::array<int64_t, 2> read_fixed_size(const ConfigReader& reader, std::string_view key) {
  ResizeRule rule = read_size(reader, key, true);
  if (!rule.height || !rule.width) reader.reject(key, "a number, or height and width");
  return {*rule.height, *rule.width};
}

std::array<double, 3> read_channels(const ConfigReader& reader, std::string_view key,
                                    const std::array<double, 3>& fallback) {
  if (reader.has(key) && reader.json().at(std::string(key)).is_number()) {
    double value = reader.required<double>(key);
    return {value, value, value};
  }
  auto values = reader.optional(key, std::vector<double>(fallback.begin(), fallback.end()));
  if (values.size() != 3) reader.reject(key, "a number or three of them");
  return {values[0], values[1], values[2]};
}

ResizeRule read_resize_rule(const ConfigReader& reader, const ClassDefaults& defaults) {
  bool square = reader.maybe<bool>("default_to_square").value_or(defaults.default_to_square);
  if (reader.maybe<bool>("use_square_size").value_or(false) && std::string_view(defaults.type) == "CLIPImageProcessor")
    return {.height = 224, .width = 224};  // KOSMOS-2
  if (reader.has("size")) return read_size(reader, "size", square);
  if (defaults.shortest_edge) {
    reader.optional<Json>("size", {{"shortest_edge", defaults.side}});
    return {.shortest_edge = defaults.side};
  }
  reader.optional<Json>("size", {{"height", defaults.side}, {"width", defaults.side}});
  return {.height = defaults.side, .width = defaults.side};
}

// LLaVA pads with the mean colour, cut to whole numbers.
std::array<uint8_t, 3> background_of(const ConfigReader& reader, const std::array<double, 3>& mean) {
  std::array<uint8_t, 3> colour;
  for (int c = 0; c < 3; ++c) {
    double value = std::trunc(mean[c] * 255);
    if (!(value >= 0 && value <= 255)) reader.reject("image_mean", "means from 0 to 1 for padding with their colour");
    colour[c] = static_cast<uint8_t>(value);
  }
  return colour;
}

}  // namespace

void read_pixel_options(const ConfigReader& reader, const PixelDefaults& defaults, ImageProcessorConfig& config) {
  config.do_convert_rgb = reader.optional("do_convert_rgb", defaults.convert_rgb);
  int64_t resample = reader.optional("resample", defaults.resample);
  if (resample < 0 || resample > 5) reader.reject("resample", "a filter of Pillow, 0 to 5");
  config.resample = static_cast<Resample>(resample);
  config.do_rescale = reader.optional("do_rescale", true);
  config.rescale_factor = reader.optional("rescale_factor", 1.0 / 255);
  config.do_normalize = reader.optional("do_normalize", true);
  config.mean = read_channels(reader, "image_mean", defaults.mean);
  config.std = read_channels(reader, "image_std", defaults.std);
  for (double deviation : config.std)
    if (config.do_normalize && deviation == 0) reader.reject("image_std", "deviations other than 0");
}

ImageProcessorConfig read_image_processor_config(const ConfigReader& reader, const std::string& type) {
  const ClassDefaults& defaults = find_class(reader, type);
  ImageProcessorConfig config{};
  config.type = defaults.type;
  read_pixel_options(reader, defaults.pixels, config);
  config.cuts_tiles = defaults.cuts_tiles;
  config.do_resize = reader.optional("do_resize", true);
  config.size = read_resize_rule(reader, defaults);

  config.do_center_crop = reader.optional("do_center_crop", defaults.center_crop);
  if (reader.has("crop_size")) {
    auto [height, width] = read_fixed_size(reader, "crop_size");
    config.crop_height = height, config.crop_width = width;
  } else if (config.do_center_crop) {
    if (!defaults.center_crop) reader.reject("crop_size", "a size, since do_center_crop is true");
    reader.optional<Json>("crop_size", {{"height", 224}, {"width", 224}});
    config.crop_height = config.crop_width = 224;
  }

  bool pad = defaults.pads_to_square ? reader.optional("do_pad", false) : reader.maybe<bool>("do_pad").value_or(false);
  config.pad_to_square = pad && defaults.pads_to_square;
  config.pad_batch = pad && !defaults.pads_to_square;
  if (config.pad_to_square) config.background = background_of(reader, config.mean);
  if (config.pad_batch && reader.has("pad_size")) config.pad_size = read_fixed_size(reader, "pad_size");
  return config;
}

}  // namespace nuri
