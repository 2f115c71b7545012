#include "models/instructblip/model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "models/instructblip/config.h"
#include "models/parts/connectors/qformer.h"
#include "models/parts/fusion/query_captioner.h"
#include "models/parts/inputs.h"

namespace nuri {
namespace {

class InstructBlipModel : public QueryCaptioner {
 public:
  InstructBlipModel(const WeightView& weights, const InstructBlipConfig& config, const ConfigReader& text)
      : QueryCaptioner(weights, {config.vision, config.queries, config.qformer.encoder.width, config.image_token},
                       text),
        words_(weights / "qformer" / "embeddings", config.qformer),
        qformer_(weights / "qformer", weights / "qformer" / "embeddings" / "layernorm", config.qformer,
                 config.vision.encoder.width) {}

  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    NamedTensors inputs = QueryCaptioner::picture_inputs(width, height);
    inputs["qformer_input_ids"] = at::zeros({1, 1}, at::kLong);
    return inputs;
  }

 protected:
  std::vector<std::string> query_names() const override { return {"qformer_input_ids", "qformer_attention_mask"}; }

  // The instruction stands behind the queries -> [B, Q + T, D]
  at::Tensor draw(const at::Tensor& queries, const at::Tensor& pictures, const NamedTensors& inputs) const override {
    at::Tensor ids = whole_input(inputs, "qformer_input_ids", 2);
    if (ids.size(0) != pictures.size(0))
      throw Error(ErrorKind::usage, fmt::format("qformer_input_ids: found {} rows, expected {}, one for each picture",
                                                ids.size(0), pictures.size(0)));
    at::Tensor mask;
    if (inputs.contains("qformer_attention_mask")) {
      at::Tensor text = required_input(inputs, "qformer_attention_mask", 2).to(at::kBool).cpu();
      check_shape(text, ids.sizes(), "qformer_attention_mask");
      mask = at::cat({at::ones({ids.size(0), queries.size(1)}, at::kBool), text}, 1);
    }
    return qformer_(at::cat({queries, words_(ids, "qformer_input_ids")}, 1), queries.size(1), pictures, mask);
  }

 private:
  QFormerWords words_;
  QFormer qformer_;
};

}  // namespace

std::unique_ptr<Model> make_instructblip(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<InstructBlipModel>(weights, parse_instructblip_config(config),
                                             config.child_or_empty("text_config"));
}

NameRules instructblip_names(const ConfigReader& config) {
  NameRules rules = language_model_names(config.child_or_empty("text_config"), "opt");
  rules.ignored.push_back("*embeddings.position_ids");
  return rules;
}

}  // namespace nuri
