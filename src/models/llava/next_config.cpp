#include "models/llava/next_config.h"

namespace nuri {

PatchRegion LlavaNextConfig::region_of(Resolution picture, Resolution grid) const {
  int64_t side = patches_per_side();
  return without_padding(picture, grid.height / vision.image_size * side, grid.width / vision.image_size * side);
}

int64_t LlavaNextConfig::tokens_of(Resolution picture) const {
  PatchRegion region = region_of(picture, best_resolution(picture, pinpoints));
  return tokens_per_picture() + region.rows * (region.columns + 1);
}

LlavaNextConfig parse_llava_next_config(const ConfigReader& config) {
  LlavaNextConfig c{parse_llava_config(config), {}};
  if (c.tokens_per_picture() != c.vision.patches())
    config.reject("vision_feature_select_strategy",
                  "one that leaves a row for each patch: default over CLIP, full over SigLIP");
  c.pinpoints = read_pinpoints(config, c.vision.image_size);
  return c;
}

}  // namespace nuri
