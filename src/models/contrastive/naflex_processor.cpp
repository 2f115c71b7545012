#include "models/contrastive/naflex_processor.h"

#include <cmath>

#include "base/error.h"

namespace nuri {
namespace {

constexpr int64_t kMostPatches = 1 << 20;  // of a picture, and of its side
constexpr int64_t kMostValues = int64_t{1} << 31;

struct Grid {
  int64_t rows, columns;
};

int64_t patches_along(double scale, int64_t size, int64_t patch) {
  double patches = std::ceil(static_cast<double>(size) * scale / static_cast<double>(patch));
  return std::max<int64_t>(1, static_cast<int64_t>(patches));
}

// The reference's binary search for the largest scale, so that rounding falls as there.
Grid best_grid(int64_t width, int64_t height, int64_t patch, int64_t most) {
  constexpr double kEpsilon = 1e-5;
  double low = kEpsilon / 10, high = 100;
  while (high - low >= kEpsilon) {
    double scale = (low + high) / 2;
    bool fits = static_cast<double>(patches_along(scale, height, patch)) *
                    static_cast<double>(patches_along(scale, width, patch)) <=
                static_cast<double>(most);
    (fits ? low : high) = scale;
  }
  return {patches_along(low, height, patch), patches_along(low, width, patch)};
}

class NaflexProcessor : public PictureProcessor {
 public:
  explicit NaflexProcessor(const ConfigReader& reader) {
    read_pixel_options(reader, {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}, 2, false}, pixels_);
    pixels_.type = "Siglip2ImageProcessor";
    pixels_.do_resize = true;
    resizes_ = reader.optional("do_resize", true);
    patch_ = read_count(reader, "patch_size", 16);
    most_ = read_count(reader, "max_num_patches", 256);
  }

  PreparedPictures prepare(std::span<const Image> pictures) const override {
    auto count = static_cast<int64_t>(pictures.size()), length = patch_ * patch_ * 3;
    if (count > kMostValues / most_ / length)
      throw Error(ErrorKind::resource,
                  fmt::format("pictures: found {} of {} patches of {} numbers, expected at most {}", count, most_,
                              length, kMostValues));
    PreparedPictures prepared;
    std::vector<float> values(static_cast<size_t>(count * most_ * length));
    std::vector<int64_t> mask(static_cast<size_t>(count * most_)), shapes;
    for (int64_t i = 0; i < count; ++i) {
      const Image& picture = pictures[static_cast<size_t>(i)];
      Grid grid = grid_of(picture);
      ImageProcessor processor = processor_for(grid);
      cut(processor({&picture, 1}), grid, values.data() + i * most_ * length);
      std::fill_n(mask.begin() + i * most_, grid.rows * grid.columns, 1);
      shapes.insert(shapes.end(), {grid.rows, grid.columns});
      prepared.geometry.push_back(processor.geometry(picture.width, picture.height));
    }
    prepared.arrays = {{"pixel_values", {count, most_, length}, std::move(values)},
                       {"pixel_attention_mask", {count, most_}, std::move(mask)},
                       {"spatial_shapes", {count, 2}, std::move(shapes)}};
    return prepared;
  }

 private:
  static int64_t read_count(const ConfigReader& reader, std::string_view key, int64_t fallback) {
    int64_t value = reader.optional(key, fallback);
    if (value < 1 || value > kMostPatches) reader.reject(key, fmt::format("1 to {}", kMostPatches));
    return value;
  }

  Grid grid_of(const Image& picture) const {
    Grid grid = resizes_ ? best_grid(picture.width, picture.height, patch_, most_)
                         : Grid{picture.height / patch_, picture.width / patch_};
    if (grid.rows < 1 || grid.columns < 1 || grid.rows > most_ / grid.columns)
      throw Error(ErrorKind::usage,
                  fmt::format("picture of {}x{}: found {} rows of {} patches, expected 1 to {} patches", picture.width,
                              picture.height, grid.rows, grid.columns, most_));
    return grid;
  }

  // Resizes to the grid; without resizing, cuts what lies beyond its last whole patch.
  ImageProcessor processor_for(const Grid& grid) const {
    ImageProcessorConfig config = pixels_;
    config.do_resize = resizes_;
    config.size.height = grid.rows * patch_, config.size.width = grid.columns * patch_;
    return ImageProcessor(config);
  }

  // pixels [1, 3, H, W] -> patches [rows * columns, p * p * 3]
  void cut(const PixelValues& pixels, const Grid& grid, float* to) const {
    int64_t height = pixels.shape[2], width = pixels.shape[3];
    for (int64_t row = 0; row < grid.rows; ++row)
      for (int64_t column = 0; column < grid.columns; ++column)
        for (int64_t y = row * patch_; y < (row + 1) * patch_; ++y)
          for (int64_t x = column * patch_; x < (column + 1) * patch_; ++x)
            for (int64_t c = 0; c < 3; ++c) *to++ = pixels.values[static_cast<size_t>((c * height + y) * width + x)];
  }

  ImageProcessorConfig pixels_{};
  bool resizes_;
  int64_t patch_, most_;
};

}  // namespace

std::unique_ptr<PictureProcessor> make_naflex_processor(const std::filesystem::path& folder) {
  return std::make_unique<NaflexProcessor>(read_processor_file(folder));
}

}  // namespace nuri
