#pragma once

#include "models/parts/processors/anyres_config.h"
#include "models/parts/processors/image_processor.h"

namespace nuri {

// LlavaNextImageProcessor of Hugging Face transformers, equal to its Pillow backend: a picture becomes one tile that
// shows it whole, and the tiles of the grid that suits it best; `pixel_values` [N, most tiles, 3, H, W], of which a
// picture's first are its own and the others zero, and `image_sizes` [N, 2].
class LlavaNextImageProcessor : public PictureProcessor {
 public:
  static LlavaNextImageProcessor from_folder(const std::filesystem::path& folder);
  // The object of a processor file.
  explicit LlavaNextImageProcessor(const ConfigReader& reader);

  PreparedPictures prepare(std::span<const Image> pictures) const override;
  const std::vector<Resolution>& pinpoints() const { return pinpoints_; }

 private:
  // The whole picture and its grid, behind those of `tiles`.
  void append_tiles(const Image& picture, std::vector<Image>& tiles) const;

  ImageProcessor tile_processor_;
  Resolution whole_;  // of the tile that shows the whole picture
  int64_t tile_;      // side of a tile of the grid
  std::vector<Resolution> pinpoints_;
};

}  // namespace nuri
