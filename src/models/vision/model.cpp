#include "models/vision/model.h"

#include <ATen/ATen.h>

#include "models/parts/inputs.h"

namespace nuri {
namespace {

class VisionModel : public Model, public MediaEncoder {
 public:
  VisionModel(const WeightView& weights, const VisionConfig& config)
      : tower_(make_vision_tower(weights, config)), like_(weights.ledger().front().tensor) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, {"pixel_values"});
    VisionOutput output = encode(inputs);
    NamedTensors outputs{{"last_hidden_state", output.last}};
    if (output.pooled.defined()) outputs["pooler_output"] = output.pooled;
    return outputs;
  }

  std::vector<int64_t> picture_shape() const override { return tower_->config().picture_shape(); }
  at::Tensor encode_pictures(const at::Tensor& pixels) override { return encode({{"pixel_values", pixels}}).last; }

 private:
  VisionOutput encode(const NamedTensors& inputs) const {
    return tower_->encode(pixel_values(inputs, tower_->config(), like_));
  }

  std::unique_ptr<VisionTower> tower_;
  at::Tensor like_;
};

}  // namespace

std::unique_ptr<Model> make_vision(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<VisionModel>(weights, parse_vision_config(config, ""));
}

NameRules vision_names(const ConfigReader&) { return {{{"vision_model.", ""}}, {"*embeddings.position_ids"}}; }

}  // namespace nuri
