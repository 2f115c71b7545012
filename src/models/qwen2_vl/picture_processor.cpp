#include "models/qwen2_vl/picture_processor.h"

#include <cmath>

#include "base/error.h"
#include "base/file.h"

namespace nuri {
namespace {

constexpr int64_t kLargestPatch = 1024, kMostMerged = 64, kMostPixels = int64_t{1} << 40, kMostTokens = 1 << 24;
constexpr int64_t kMostValues = int64_t{1} << 31;  // of all pictures together
constexpr std::array<double, 3> kClipMean = {0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kClipStd = {0.26862954, 0.26130258, 0.27577711};

int64_t read_count(const ConfigReader& reader, std::string_view key, int64_t fallback, int64_t most) {
  int64_t value = reader.optional(key, fallback);
  if (value < 1 || value > most) reader.reject(key, fmt::format("1 to {}", most));
  return value;
}

// `min_pixels` and `max_pixels` beside `size` go before what is inside; files of several years have one or both.
PixelBounds read_bounds(const ConfigReader& reader, const PixelBounds& defaults) {
  ConfigReader size = reader.child_or_empty("size");
  auto read = [&](const char* beside, const char* inside, int64_t fallback) {
    if (reader.has(beside)) return read_count(reader, beside, fallback, kMostPixels);
    const char* key = !size.has(inside) && size.has(beside) ? beside : inside;
    if (reader.has("size") && !size.has(key)) reader.reject("size", "shortest_edge and longest_edge");
    return read_count(size, key, fallback, kMostPixels);
  };
  return {read("min_pixels", "shortest_edge", defaults.least), read("max_pixels", "longest_edge", defaults.most)};
}

const char* class_of(Qwen2VlPictures::Medium medium) {
  return medium == Qwen2VlPictures::Medium::pictures ? "Qwen2VLImageProcessor" : "Qwen2VLVideoProcessor";
}

void check_class(const ConfigReader& reader) {
  for (const char* key : {"image_processor_type", "video_processor_type", "feature_extractor_type"}) {
    std::string type = reader.maybe<std::string>(key).value_or("");
    // Files before transformers 4.49 give Qwen2.5-VL's processor a name of its own.
    bool known = type.starts_with("Qwen2VLImageProcessor") || type.starts_with("Qwen2VLVideoProcessor") ||
                 type.starts_with("Qwen2_5_VLImageProcessor");
    if (!type.empty() && !known) reader.reject(key, "Qwen2VLImageProcessor or Qwen2VLVideoProcessor");
  }
}

std::vector<int64_t> grid_values(const std::vector<NamedArray>& arrays) {
  for (const NamedArray& array : arrays)
    if (array.name.ends_with("_grid_thw")) return std::get<std::vector<int64_t>>(array.values);
  return {};
}

FrameChoice read_frames(const ConfigReader& reader, int64_t temporal_patch) {
  constexpr int64_t kMostFrames = 1 << 16;
  FrameChoice choice;
  choice.per_second = reader.optional("fps", 2.0);
  if (!(*choice.per_second > 0)) reader.reject("fps", "a number greater than 0");
  choice.least = read_count(reader, "min_frames", 4, kMostFrames);
  choice.most = read_count(reader, "max_frames", 768, kMostFrames);
  choice.multiple = temporal_patch;
  return choice;
}

}  // namespace

PixelSize smart_resize(const PixelSize& picture, int64_t factor, const PixelBounds& bounds) {
  auto width = static_cast<double>(picture.width), height = static_cast<double>(picture.height);
  auto step = static_cast<double>(factor);
  if (!(std::max(width, height) / std::min(width, height) <= 200))
    throw Error(ErrorKind::usage,
                fmt::format("found a picture of {}x{}, expected sides of which none is more than 200 times the other",
                            picture.width, picture.height));
  double to_height = std::nearbyint(height / step) * step, to_width = std::nearbyint(width / step) * step;
  if (to_height * to_width > static_cast<double>(bounds.most)) {
    double shrink = std::sqrt(height * width / static_cast<double>(bounds.most));
    to_height = std::max(step, std::floor(height / shrink / step) * step);
    to_width = std::max(step, std::floor(width / shrink / step) * step);
  } else if (to_height * to_width < static_cast<double>(bounds.least)) {
    double grow = std::sqrt(static_cast<double>(bounds.least) / (height * width));
    to_height = std::ceil(height * grow / step) * step;
    to_width = std::ceil(width * grow / step) * step;
  }
  return {static_cast<int64_t>(to_width), static_cast<int64_t>(to_height)};
}

Qwen2VlPictures::Qwen2VlPictures(const ConfigReader& reader, Medium medium) {
  check_class(reader);
  read_pixel_options(reader, {kClipMean, kClipStd, 3, true}, pixels_);
  pixels_.type = class_of(medium);
  // The reference has no other processor for frames than torchvision's.
  if (medium == Medium::videos) pixels_.style = ResizeStyle::torchvision;
  resizes_ = pixels_.do_resize = reader.optional("do_resize", true);
  bounds_ = read_bounds(reader, medium == Medium::pictures ? kDefaultPictureBounds : kDefaultVideoBounds);
  patch_ = read_count(reader, "patch_size", 14, kLargestPatch);
  temporal_patch_ = read_count(reader, "temporal_patch_size", 2, kMostMerged);
  merge_ = read_count(reader, "merge_size", 2, kMostMerged);
  if (medium == Medium::videos) frames_ = read_frames(reader, temporal_patch_);
  if (medium == Medium::videos && reader.maybe<bool>("cap_pixels_per_frame").value_or(false))
    most_video_tokens_ = read_count(reader, "max_video_tokens", 128000, kMostTokens);
}

Qwen2VlPictures Qwen2VlPictures::from_folder(const std::filesystem::path& folder, Medium medium) {
  if (medium == Medium::pictures) return Qwen2VlPictures(read_processor_file(folder), medium);
  auto nested = folder / "processor_config.json", own = folder / "video_preprocessor_config.json";
  if (std::filesystem::exists(nested)) {
    ConfigReader reader(read_json_file(nested), nested.string());
    if (reader.has("video_processor")) return Qwen2VlPictures(reader.child("video_processor"), medium);
  }
  if (std::filesystem::exists(own)) return Qwen2VlPictures(ConfigReader(read_json_file(own), own.string()), medium);
  // Before transformers 4.52 one file told of both.
  return Qwen2VlPictures(read_processor_file(folder), medium);
}

ImageProcessor Qwen2VlPictures::processor_for(int64_t width, int64_t height, int64_t frames) const {
  ImageProcessorConfig config = pixels_;
  int64_t factor = patch_ * merge_;
  if (resizes_) {
    PixelBounds bounds = bounds_;
    if (most_video_tokens_ > 0) {
      auto all = static_cast<int64_t>(static_cast<double>(most_video_tokens_ * factor * factor) * 0.9);
      bounds.most = std::max(std::min(bounds.most, all * temporal_patch_ / frames),
                             static_cast<int64_t>(static_cast<double>(bounds.least) * 1.05));
    }
    PixelSize size = smart_resize({width, height}, factor, bounds);
    config.size.width = size.width, config.size.height = size.height;
  } else if (width % factor != 0 || height % factor != 0) {
    throw Error(ErrorKind::usage,
                fmt::format("picture of {}x{}: do_resize is false, expected multiples of {}", width, height, factor));
  }
  return ImageProcessor(config);
}

Qwen2VlPictures::Grid Qwen2VlPictures::grid_of(const PictureGeometry& geometry, int64_t frames) const {
  return {(frames + temporal_patch_ - 1) / temporal_patch_, geometry.output_height / patch_,
          geometry.output_width / patch_};
}

void Qwen2VlPictures::check_total(const std::vector<Grid>& grids) const {
  int64_t left = kMostValues / patch_values();
  for (const Grid& grid : grids) {
    if (grid.time > left || grid.patches() > left)
      throw Error(ErrorKind::resource,
                  fmt::format("{}: found {} pictures or videos of more than {} patches together, expected fewer",
                              pixels_.type, grids.size(), kMostValues / patch_values()));
    left -= grid.patches();
  }
}

void Qwen2VlPictures::cut(const PixelValues& pixels, const Grid& grid, int64_t slot, float* patches) const {
  int64_t height = pixels.shape[2], width = pixels.shape[3], area = patch_ * patch_;
  for (int64_t row = 0; row < grid.rows; row += merge_)
    for (int64_t column = 0; column < grid.columns; column += merge_)
      for (int64_t i = 0; i < merge_ * merge_; ++i, patches += patch_values())
        for (int64_t c = 0; c < 3; ++c)
          for (int64_t y = 0; y < patch_; ++y) {
            int64_t from = (c * height + (row + i / merge_) * patch_ + y) * width + (column + i % merge_) * patch_;
            std::copy_n(pixels.values.data() + from, patch_,
                        patches + (c * temporal_patch_ + slot) * area + y * patch_);
          }
}

PreparedPictures Qwen2VlPictures::prepare(std::span<const Image> pictures) const {
  PreparedPictures prepared;
  std::vector<ImageProcessor> processors;
  std::vector<Grid> grids;
  std::vector<int64_t> sizes;
  for (const Image& picture : pictures) {
    processors.push_back(processor_for(picture.width, picture.height, 1));
    prepared.geometry.push_back(processors.back().geometry(picture.width, picture.height));
    grids.push_back(grid_of(prepared.geometry.back(), 1));
    sizes.insert(sizes.end(), {grids.back().time, grids.back().rows, grids.back().columns});
  }
  check_total(grids);
  int64_t patches = 0;
  for (const Grid& grid : grids) patches += grid.patches();
  std::vector<float> values(static_cast<size_t>(patches * patch_values()));
  float* to = values.data();
  for (size_t i = 0; i < pictures.size(); ++i) {
    PixelValues pixels = processors[i](pictures.subspan(i, 1));
    // A picture is a film in which nothing moves.
    for (int64_t slot = 0; slot < temporal_patch_; ++slot) cut(pixels, grids[i], slot, to);
    to += grids[i].patches() * patch_values();
  }
  prepared.arrays = {{"pixel_values", {patches, patch_values()}, std::move(values)},
                     {"image_grid_thw", {static_cast<int64_t>(pictures.size()), 3}, std::move(sizes)}};
  return prepared;
}

std::vector<NamedArray> Qwen2VlPictures::prepare_videos(std::span<const Video> videos) const {
  std::vector<ImageProcessor> processors;
  std::vector<Grid> grids;
  std::vector<int64_t> sizes;
  for (const Video& video : videos) {
    if (video.frames.empty()) throw Error(ErrorKind::usage, "a video: found no frame, expected at least one");
    const Image& first = video.frames.front();
    for (const Image& frame : video.frames)
      if (frame.width != first.width || frame.height != first.height)
        throw Error(ErrorKind::usage, fmt::format("a video: found frames of {}x{} and {}x{}, expected one size",
                                                  first.width, first.height, frame.width, frame.height));
    auto frames = static_cast<int64_t>(video.frames.size());
    processors.push_back(processor_for(first.width, first.height, frames));
    grids.push_back(grid_of(processors.back().geometry(first.width, first.height), frames));
    sizes.insert(sizes.end(), {grids.back().time, grids.back().rows, grids.back().columns});
  }
  check_total(grids);
  int64_t patches = 0;
  for (const Grid& grid : grids) patches += grid.patches();
  std::vector<float> values(static_cast<size_t>(patches * patch_values()));
  float* to = values.data();
  for (size_t i = 0; i < videos.size(); ++i) {
    const auto& frames = videos[i].frames;
    for (int64_t index = 0; index < grids[i].time * temporal_patch_; ++index) {
      size_t shown = std::min(static_cast<size_t>(index), frames.size() - 1);
      PixelValues pixels = processors[i](std::span(&frames[shown], 1));
      int64_t time = index / temporal_patch_;
      cut(pixels, grids[i], index % temporal_patch_, to + time * grids[i].rows * grids[i].columns * patch_values());
    }
    to += grids[i].patches() * patch_values();
  }
  return {{"pixel_values_videos", {patches, patch_values()}, std::move(values)},
          {"video_grid_thw", {static_cast<int64_t>(videos.size()), 3}, std::move(sizes)}};
}

int64_t Qwen2VlPictures::tokens_of(const std::vector<NamedArray>& arrays, size_t index) const {
  std::vector<int64_t> sizes = grid_values(arrays);
  return sizes[3 * index] * sizes[3 * index + 1] * sizes[3 * index + 2] / (merge_ * merge_);
}

std::unique_ptr<PictureProcessor> make_qwen2_vl_pictures(const std::filesystem::path& folder) {
  return std::make_unique<Qwen2VlPictures>(Qwen2VlPictures::from_folder(folder, Qwen2VlPictures::Medium::pictures));
}

}  // namespace nuri
