#pragma once

#include "models/parts/processors/image_processor.h"

namespace nuri {

// Tiles of one size that lie beside and above each other.
struct TileArrangement {
  int64_t high, wide;
  bool operator==(const TileArrangement&) const = default;
};

// Every arrangement of at most `most` tiles, in the order in which `aspect_ratio_ids` numbers them from 1.
std::vector<TileArrangement> tile_arrangements(int64_t most);
// The arrangement that a picture fills best: that which enlarges it least, else that which shrinks it least, and of
// equal ones the smallest (get_optimal_tiled_canvas of transformers).
TileArrangement best_arrangement(int64_t width, int64_t height, int64_t most_tiles, int64_t tile_size);

// MllamaImageProcessor: each picture is resized to fit into its best arrangement, laid into the upper left corner, and
// cut into tiles. Of I pictures and at most `t` tiles: pixel_values [1, I, t, 3, S, S], aspect_ratio_ids [1, I],
// aspect_ratio_mask [1, I, t] (1 where there is a tile).
class MllamaImageProcessor : public PictureProcessor {
 public:
  static MllamaImageProcessor from_folder(const std::filesystem::path& folder);
  explicit MllamaImageProcessor(const ConfigReader& file);

  PreparedPictures prepare(std::span<const Image> pictures) const override;
  int64_t most_tiles() const { return most_tiles_; }

 private:
  PictureGeometry geometry(const Image& picture, const TileArrangement& arrangement) const;
  void expect_room(size_t pictures) const;

  int64_t most_tiles_, tile_size_;
  ImageProcessor pixels_;
};

}  // namespace nuri
