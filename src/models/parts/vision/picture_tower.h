#pragma once

#include "models/parts/vision/vision_tower.h"

namespace nuri {

// A picture encoder as a model's inputs meet it: reads "pixel_values" and what goes with them.
class PictureTower {
 public:
  virtual ~PictureTower() = default;
  // The inputs that it knows.
  virtual const std::vector<std::string>& inputs() const = 0;
  // Throws Error(usage) for tensors that are missing or of the wrong shape.
  virtual VisionOutput encode(const NamedTensors& inputs) const = 0;
  // As MediaEncoder::picture_inputs.
  virtual NamedTensors picture_inputs(int64_t width, int64_t height) const = 0;
};

// CLIP's or SigLIP's encoder for pictures of one fixed size, by `config.kind`.
std::unique_ptr<PictureTower> make_square_tower(const WeightView& weights, const VisionConfig& config);

// SigLIP 2's encoder for pictures of any aspect ratio ("NaFlex", Tschannen et al. 2025), the names of
// Siglip2VisionModel: `pixel_values` [N, P, p * p * C] (patches row by row, padded to P), `pixel_attention_mask` [N, P]
// (0 where padded), `spatial_shapes` [N, 2] (rows and columns of patches). The learned positions of a square grid are
// stretched to each picture's.
std::unique_ptr<PictureTower> make_naflex_tower(const WeightView& weights, const VisionConfig& config);

}  // namespace nuri
