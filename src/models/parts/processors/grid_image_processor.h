#pragma once

#include "models/parts/processors/image_processor.h"
#include "models/parts/processors/tile_config.h"

namespace nuri {

// GotOcr2ImageProcessor of Hugging Face transformers as InternVLProcessor uses it, equal to its Pillow backend: the
// tiles of all pictures in a row, `pixel_values` [tiles, 3, H, W], each picture's thumbnail behind its grid. Places in
// pixels are those of the whole grid.
class GridImageProcessor : public PictureProcessor {
 public:
  // `config`: what happens to a tile; its size has height and width.
  GridImageProcessor(ImageProcessorConfig config, TileRule rule, std::vector<std::string> assumed = {});

  PreparedPictures prepare(std::span<const Image> pictures) const override;
  // Tiles that a picture of this size becomes.
  int64_t tiles_of(int64_t width, int64_t height) const { return rule_.tiles_in(grid_of(width, height)); }

 private:
  TileRule::Grid grid_of(int64_t width, int64_t height) const { return rule_.grid_of(width, height, width_, height_); }
  void append_tiles(const Image& picture, std::vector<Image>& tiles) const;

  ImageProcessor tile_processor_;
  TileRule rule_;
  int64_t width_, height_;  // of a tile
};

// Reads the object of a processor file of the GotOcr2 kind.
GridImageProcessor read_grid_image_processor(const ConfigReader& reader);

}  // namespace nuri
