#include "models/llama4/model.h"

#include <ATen/ATen.h>

#include "models/llama4/decoder.h"
#include "models/llama4/tile_processor.h"
#include "models/llama4/vision.h"
#include "models/parts/fusion/unified_fusion.h"
#include "models/parts/inputs.h"
#include "models/parts/text/language_model.h"
#include "models/parts/vision/picture_cache.h"

namespace nuri {
namespace {

class Llama4Text : public DecoderOnly {
 public:
  using DecoderOnly::DecoderOnly;
  std::vector<DecoderInput> prompts(const at::Tensor& embeddings, const NamedTensors& inputs) const override {
    std::vector<DecoderInput> prompts = DecoderOnly::prompts(embeddings, inputs);
    keep_padding(inputs, prompts);
    return prompts;
  }
};

class Llama4Model : public CausalLM, public MediaEncoder {
 public:
  Llama4Model(const WeightView& weights, const Llama4Config& config)
      : config_(config),
        vision_(weights / "vision_model", config.vision),
        connector_(weights / "multi_modal_projector" / "linear_1", config.vision.output, config.text.decoder.width,
                   /*bias=*/false),
        decoder_(make_llama4_decoder(weights / "language_model", config.text)) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs,
                          {"input_ids", "attention_mask", "position_ids", "pixel_values", "logits_to_keep", "labels"});
    at::Tensor ids = whole_input(inputs, "input_ids", 2).to(device()), seen;  // [tiles, tokens, D_v]
    if (inputs.contains("pixel_values")) seen = vision_(pixels_of(inputs));
    at::Tensor embeddings = fuse(ids, seen.defined() ? connect(seen) : seen);
    NamedTensors outputs = forward_batch(decoder_, embeddings, inputs, tap_);
    if (seen.defined()) outputs["image_hidden_states"] = seen;
    return outputs;
  }
  int64_t idle_parameters() const override { return decoder_.idle_parameters(); }

  Limits limits() const override { return decoder_.limits(); }
  nn::CacheShape cache_shape() const override { return decoder_.cache_shape(); }
  at::ScalarType dtype() const override { return decoder_.dtype(); }
  at::Device device() const override { return decoder_.device(); }

  std::vector<DecoderInput> embed(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, {"input_ids", "attention_mask", "pixel_values"});
    at::Tensor features;
    if (inputs.contains("pixel_values")) {
      std::vector<at::Tensor> tiles = pixels_of(inputs).split(1);
      features = at::cat(seen_(tiles, [&](const std::vector<size_t>& missing) {
        std::vector<at::Tensor> chosen;
        for (size_t i : missing) chosen.push_back(tiles[i]);
        return connect(vision_(at::cat(chosen))).split(config_.vision.tokens_per_tile());
      }));
    }
    auto prompts = split_batch(inputs, fuse(whole_input(inputs, "input_ids", 2).to(device()), features));
    keep_padding(inputs, prompts);
    return prompts;
  }
  at::Tensor embed_made(const at::Tensor& ids) override { return decoder_.embed(ids); }

  // As the processor cuts it with at most 16 tiles, what published processor files say.
  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    const auto& [channels, side, patch] = static_cast<const PictureSizes&>(config_.vision);
    TileGrid grid = best_grid(width, height, {side, CanvasRule{}.most_tiles, false});
    return {{"pixel_values", at::zeros({grid.tiles(), channels, side, side})}};
  }
  at::Tensor encode_pictures(const NamedTensors& pictures) override { return connect(vision_(pixels_of(pictures))); }

  at::Tensor step(const Step& step, nn::KvCache& cache) override { return decoder_.step(step, cache, tap_); }

 private:
  at::Tensor pixels_of(const NamedTensors& inputs) const {
    return pixel_values(inputs, config_.vision, decoder_.embedding());
  }

  // What the encoder saw [tiles, tokens, D_v] -> rows for the decoder [tiles * tokens, D]
  at::Tensor connect(const at::Tensor& seen) const { return connector_(seen.reshape({-1, seen.size(2)})); }

  // ids [B, T] -> [B, T, D]
  at::Tensor fuse(const at::Tensor& ids, const at::Tensor& features) const {
    return put_features(decoder_.embed(ids), ids == config_.image_token, features);
  }

  Llama4Config config_;
  Llama4Vision vision_;
  nn::Linear connector_;
  LlamaDecoder decoder_;
  PictureCache seen_;
};

}  // namespace

std::unique_ptr<Model> make_llama4_text(const ConfigReader& config, const WeightView& weights) {
  auto decoder = std::make_unique<LlamaDecoder>(make_llama4_decoder(weights, parse_llama4_text_config(config)));
  return std::make_unique<TextModel>(std::make_unique<Llama4Text>(std::move(decoder)));
}

std::unique_ptr<Model> make_llama4(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<Llama4Model>(weights, parse_llama4_config(config));
}

NameRules llama4_text_names(const ConfigReader& config) {
  NameRules rules;
  rules.renames = {{"language_model.", ""}};
  rules.ignored = {"*rotary_emb.inv_freq"};
  return rules;
}

NameRules llama4_names(const ConfigReader& config) {
  NameRules rules;
  rules.ignored = {"*rotary_emb.inv_freq", "*rotary_embedding.freqs_ci"};
  return rules;
}

}  // namespace nuri
