#pragma once

#include "models/llava/config.h"
#include "models/parts/processors/anyres_config.h"

namespace nuri {

// config.json of LlavaNextForConditionalGeneration, with the defaults of transformers' LlavaNextConfig.
struct LlavaNextConfig : LlavaConfig {
  std::vector<Resolution> pinpoints;

  int64_t patches_per_side() const { return vision.image_size / vision.patch_size; }
  // Tiles that a grid takes, without the one of the whole picture.
  int64_t tiles_in(Resolution grid) const { return grid.height / vision.image_size * (grid.width / vision.image_size); }
  // The patches of the grid that show the picture.
  PatchRegion region_of(Resolution picture, Resolution grid) const;
  // Image tokens of a picture: the whole, then the grid's rows without padding, each closed by a newline.
  int64_t tokens_of(Resolution picture) const;
};

LlavaNextConfig parse_llava_next_config(const ConfigReader& config);

}  // namespace nuri
