#pragma once

#include <array>
#include <filesystem>

#include "models/parts/processors/image_processor.h"

namespace nuri {

struct CanvasRule {
  int64_t side = 336;       // of a square tile, in pixels
  int64_t most_tiles = 16;  // max_patches
  bool to_largest = false;  // resize_to_max_canvas: enlarge as far as the tiles reach
};

// How a picture is laid on tiles: resized without distortion to the top left of rows x columns of them.
struct TileGrid {
  int64_t rows, columns;
  int64_t resized_height, resized_width;
  // With the one that shows the whole picture behind the others, where there are others.
  int64_t tiles() const { return rows * columns > 1 ? rows * columns + 1 : 1; }
};
TileGrid best_grid(int64_t width, int64_t height, const CanvasRule& rule);

struct TileProcessorConfig {
  CanvasRule rule;
  bool do_convert_rgb, do_normalize;
  double rescale_factor;
  std::array<double, 3> mean, std;
};

// Throws Error(unsupported) for settings that the reference's Llama4ImageProcessor has no result for.
TileProcessorConfig read_tile_processor_config(const ConfigReader& reader);

// Llama4ImageProcessor of Hugging Face transformers: "pixel_values" [tiles of all pictures, 3, side, side], of each
// picture its tiles row by row and then, where they are several, one of the whole picture; and "aspect_ratios"
// [pictures, 2], the rows and columns of tiles. Values are rounded to bfloat16, as the reference computes them.
class TileProcessor : public PictureProcessor {
 public:
  static TileProcessor from_folder(const std::filesystem::path& folder);
  explicit TileProcessor(const TileProcessorConfig& config);

  PreparedPictures prepare(std::span<const Image> pictures) const override;

  int64_t side() const { return config_.rule.side; }

 private:
  // Writes the tiles of one picture one after the other.
  void fill(const Image& picture, const TileGrid& grid, float* values) const;
  void fill_tile(const Image& image, int64_t left, int64_t top, float* values) const;

  TileProcessorConfig config_;
  std::array<std::array<float, 256>, 3> value_of_{};  // of each byte in each channel
};

}  // namespace nuri
