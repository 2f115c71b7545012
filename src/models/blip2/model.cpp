#include "models/blip2/model.h"

#include "models/blip2/config.h"
#include "models/parts/connectors/qformer.h"
#include "models/parts/fusion/query_captioner.h"

namespace nuri {
namespace {

class Blip2Model : public QueryCaptioner {
 public:
  Blip2Model(const WeightView& weights, const Blip2Config& config, const ConfigReader& text)
      : QueryCaptioner(weights, {config.vision, config.queries, config.qformer.encoder.width, config.image_token},
                       text),
        qformer_(weights / "qformer", weights / "qformer" / "layernorm", config.qformer, config.vision.encoder.width) {}

 protected:
  at::Tensor draw(const at::Tensor& queries, const at::Tensor& pictures, const NamedTensors&) const override {
    return qformer_(queries, queries.size(1), pictures);
  }

 private:
  QFormer qformer_;
};

}  // namespace

std::unique_ptr<Model> make_blip2(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<Blip2Model>(weights, parse_blip2_config(config), config.child_or_empty("text_config"));
}

NameRules blip2_names(const ConfigReader& config) {
  return language_model_names(config.child_or_empty("text_config"), "opt");
}

}  // namespace nuri
