#pragma once

#include "models/internvl/config.h"
#include "models/parts/image_processor.h"

namespace nuri {

// GotOcr2ImageProcessor of Hugging Face transformers as InternVLProcessor uses it, equal to its Pillow backend: the
// tiles of all pictures in a row, `pixel_values` [tiles, 3, H, W], each picture's thumbnail behind its grid.
class InternvlImageProcessor : public PictureProcessor {
 public:
  // `config`: of the model; the form of OpenGVLab says there how pictures are cut.
  static InternvlImageProcessor from_folder(const std::filesystem::path& folder, const InternvlConfig& config);
  InternvlImageProcessor(ImageProcessorConfig config, TileRule rule, std::vector<std::string> assumed = {});

  PreparedPictures prepare(std::span<const Image> pictures) const override;
  // Tiles that a picture of this size becomes.
  int64_t tiles_of(int64_t width, int64_t height) const;

 private:
  void append_tiles(const Image& picture, std::vector<Image>& tiles) const;

  ImageProcessor tile_processor_;
  TileRule rule_;
  int64_t width_, height_;  // of a tile
};

// Reads the object of a processor file of the GotOcr2 kind.
InternvlImageProcessor read_internvl_image_processor(const ConfigReader& reader);

}  // namespace nuri
