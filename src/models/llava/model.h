#pragma once

#include "models/llava/config.h"
#include "models/parts/connectors/mlp_connector.h"
#include "models/parts/fusion/unified_model.h"
#include "models/parts/vision/vision_tower.h"
#include "weights/stores.h"

namespace nuri {

// Encoder and connector; a picture is one tile.
class LlavaReader : public TileReader {
 public:
  LlavaReader(const WeightView& weights, const LlavaConfig& config);
  NamedTensors picture_inputs(int64_t width, int64_t height) const override { return one_picture(config_.vision); }
  at::Tensor tiles(const NamedTensors& inputs, const at::Tensor& like) const override;
  at::Tensor encode(const at::Tensor& tiles) const override;
  at::Tensor arrange(const at::Tensor& features, const NamedTensors& inputs) const override;

 private:
  LlavaConfig config_;
  std::unique_ptr<VisionTower> vision_;
  MlpConnector connector_;
};

// LlavaForConditionalGeneration: a picture becomes tokens of the decoder (Liu et al. 2023). See MODEL.md.
std::unique_ptr<Model> make_llava(const ConfigReader& config, const WeightView& weights);
// Of LLaVA-NeXT too.
NameRules llava_names(const ConfigReader& config);

}  // namespace nuri
