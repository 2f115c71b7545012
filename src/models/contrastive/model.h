#pragma once

#include "models/parts/interface.h"
#include "models/parts/vision/vision_config.h"
#include "weights/stores.h"

namespace nuri {

struct ContrastiveConfig {
  VisionConfig vision;
  TextTowerConfig text;
  double start_scale;            // of a new model: logarithm of the factor on cosines
  bool old_end_of_text = false;  // whether an end of text of 2 means the largest id
};

// CLIPModel and MetaClip2Model (softmax over the batch), SiglipModel and Siglip2Model (a sigmoid for each pair):
// pictures and texts in one space. See MODEL.md.
std::unique_ptr<Model> make_clip(const ConfigReader& config, const WeightView& weights);
std::unique_ptr<Model> make_metaclip2(const ConfigReader& config, const WeightView& weights);
std::unique_ptr<Model> make_siglip(const ConfigReader& config, const WeightView& weights);
std::unique_ptr<Model> make_siglip2(const ConfigReader& config, const WeightView& weights);
NameRules contrastive_names(const ConfigReader& config);

}  // namespace nuri
