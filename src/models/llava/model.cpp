#include "models/llava/model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "models/parts/inputs.h"
#include "models/parts/llama_decoder.h"
#include "models/parts/mlp_connector.h"
#include "models/parts/unified_fusion.h"
#include "models/parts/vision_tower.h"

namespace nuri {
namespace {

class LlavaModel : public CausalLM, public MediaEncoder {
 public:
  LlavaModel(const WeightView& weights, const LlavaConfig& config)
      : config_(config),
        vision_(make_vision_tower(weights / "vision_tower", config.vision)),
        connector_(weights / "multi_modal_projector",
                   config.vision.encoder.width * static_cast<int64_t>(config.feature_layers.size()), config.text.width,
                   activation_named(config.projector_activation, "projector_hidden_act"), config.projector_bias),
        decoder_(weights / "language_model", config.text) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs,
                          {"input_ids", "attention_mask", "position_ids", "pixel_values", "logits_to_keep", "labels"});
    at::Tensor ids = whole_input(inputs, "input_ids", 2).to(device());
    at::Tensor features;
    if (inputs.contains("pixel_values")) features = encode(inputs);
    at::Tensor embeddings = fuse(ids.reshape({-1}), features).view({ids.size(0), ids.size(1), -1});
    NamedTensors outputs = forward_batch(decoder_, embeddings, inputs);
    if (features.defined()) outputs["image_hidden_states"] = features;
    return outputs;
  }

  Limits limits() const override { return decoder_.limits(); }
  nn::CacheShape cache_shape() const override { return decoder_.cache_shape(); }
  at::ScalarType dtype() const override { return decoder_.dtype(); }
  at::Device device() const override { return decoder_.device(); }

  at::Tensor embed(const at::Tensor& ids, const NamedTensors& media) override {
    refuse_unknown_inputs(media, {"pixel_values"});
    return fuse(ids, media.empty() ? at::Tensor() : encode(media));
  }
  at::Tensor embed_made(const at::Tensor& ids) override { return decoder_.embed(ids); }

  std::vector<int64_t> picture_shape() const override { return config_.vision.picture_shape(); }
  at::Tensor encode_pictures(const at::Tensor& pixels) override { return encode({{"pixel_values", pixels}}); }

  at::Tensor step(const Step& step, nn::KvCache& cache) override { return decoder_.step(step, cache); }

 private:
  // pixel_values [N, C, S, S] -> features of all pictures in a row [N * tokens, D]
  at::Tensor encode(const NamedTensors& inputs) const {
    at::Tensor pixels = pixel_values(inputs, config_.vision, decoder_.embedding());
    const auto& layers = config_.feature_layers;
    auto states = vision_->hidden_states(pixels, *std::max_element(layers.begin(), layers.end()));
    std::vector<at::Tensor> chosen;
    for (int64_t layer : layers)
      chosen.push_back(config_.drop_first_token ? states[layer].narrow(1, 1, states[layer].size(1) - 1)
                                                : states[layer]);
    at::Tensor features = chosen.size() == 1 ? chosen[0] : at::cat(chosen, -1);
    return connector_(features.reshape({-1, features.size(-1)}));
  }

  at::Tensor fuse(const at::Tensor& ids, const at::Tensor& features) const {
    return put_features(decoder_.embed(ids), ids == config_.image_token, features);
  }

  LlavaConfig config_;
  std::unique_ptr<VisionTower> vision_;
  MlpConnector connector_;
  LlamaDecoder decoder_;
};

}  // namespace

std::unique_ptr<Model> make_llava(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<LlavaModel>(weights, parse_llava_config(config));
}

NameRules llava_names(const ConfigReader& config) {
  NameRules rules;
  rules.renames = {
      {"model.vision_tower.vision_model.", "vision_tower."},
      {"vision_tower.vision_model.", "vision_tower."},
      {"model.vision_tower.", "vision_tower."},
      {"model.language_model.", "language_model.model."},
      {"model.multi_modal_projector.", "multi_modal_projector."},
      {"lm_head.", "language_model.lm_head."},
  };
  rules.ignored = {"*rotary_emb.inv_freq", "*embeddings.position_ids"};
  if (parse_llava_config(config).text.tied_embeddings) rules.ignored.push_back("language_model.lm_head.weight");
  return rules;
}

}  // namespace nuri
