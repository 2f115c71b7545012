#include "models/vision/model.h"

#include <ATen/ATen.h>

#include "models/parts/inputs.h"
#include "models/parts/vision/picture_tower.h"

namespace nuri {
namespace {

class VisionModel : public Model, public MediaEncoder {
 public:
  explicit VisionModel(std::unique_ptr<PictureTower> tower) : tower_(std::move(tower)) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, tower_->inputs());
    VisionOutput output = tower_->encode(inputs);
    NamedTensors outputs{{"last_hidden_state", output.last}};
    if (output.pooled.defined()) outputs["pooler_output"] = output.pooled;
    return outputs;
  }

  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    return tower_->picture_inputs(width, height);
  }
  at::Tensor encode_pictures(const NamedTensors& pictures) override { return tower_->encode(pictures).last; }

 private:
  std::unique_ptr<PictureTower> tower_;
};

}  // namespace

std::unique_ptr<Model> make_vision(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<VisionModel>(make_square_tower(weights, parse_vision_config(config, "")));
}

std::unique_ptr<Model> make_siglip2_vision(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<VisionModel>(make_naflex_tower(weights, parse_siglip2_vision_config(config)));
}

NameRules vision_names(const ConfigReader&) { return {{{"vision_model.", ""}}, {"*embeddings.position_ids"}}; }

}  // namespace nuri
