#include "models/composed/model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "models/composed/fusion.h"
#include "models/parts/connectors/connector.h"
#include "models/parts/fusion/unified_fusion.h"
#include "models/parts/inputs.h"
#include "models/parts/vision/picture_cache.h"
#include "models/parts/vision/vision_tower.h"

namespace nuri {
namespace {

class ComposedModel : public CausalLM, public MediaEncoder {
 public:
  ComposedModel(const WeightView& weights, const ComposedConfig& config)
      : config_(config),
        vision_(make_vision_tower(weights / "vision_tower", config.vision)),
        connector_(make_connector(weights / "connector", config.connector)),
        decoder_(weights / "language_model", config.text,
                 [&](const WeightView& block, const LlamaDecoderConfig& decoder, int64_t layer, int64_t cached_layer) {
                   auto made = make_llama_block(block, decoder, layer, cached_layer);
                   bool looks = config.every > 0 && (layer + 1) % config.every == 0;
                   return looks ? looking_block(weights / "cross_attention" / layer, layer, std::move(made))
                                : std::move(made);
                 }) {
    if (config.further_tags() > 0)
      tags_.emplace(weights / "tile_tags", config.further_tags(), config.text.width, config.text.deviation);
  }

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs,
                          {"input_ids", "attention_mask", "pixel_values", "position_ids", "logits_to_keep", "labels"});
    at::Tensor ids = whole_input(inputs, "input_ids", 2).cpu(), features;
    if (inputs.contains("pixel_values")) features = encode(tiles(inputs));
    FusedTiles fused = fuse_tiles(config_, ids, features);
    auto slots = slots_of(fused);
    std::vector<std::shared_ptr<const nn::Slots>> kept(slots.begin(), slots.end());
    NamedTensors outputs = forward_batch(decoder_, embeddings_of(ids, fused), inputs, tap_, std::move(kept));
    if (features.defined()) outputs["image_hidden_states"] = features;
    return outputs;
  }

  std::vector<DecoderInput> embed(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, {"input_ids", "attention_mask", "pixel_values"});
    at::Tensor ids = whole_input(inputs, "input_ids", 2).cpu(), features;
    if (inputs.contains("pixel_values"))
      features = seen_.of_tiles(tiles(inputs), [&](const at::Tensor& missing) { return encode(missing); });
    FusedTiles fused = fuse_tiles(config_, ids, features);
    auto slots = slots_of(fused);
    auto prompts = split_batch(inputs, embeddings_of(ids, fused));
    for (size_t row = 0; row < slots.size(); ++row) {
      if (slots[row] == nullptr) continue;
      leave_out_padding(inputs, static_cast<int64_t>(row), *slots[row]);
      prompts[row].slots = slots[row];
    }
    return prompts;
  }

  at::Tensor embed_made(const at::Tensor& ids) override { return embed_ids(ids); }
  at::Tensor step(const Step& step, nn::KvCache& cache) override { return decoder_.step(step, cache, tap_); }
  bool can_record_steps() const override { return tap_ == nullptr && decoder_.can_record_steps(); }

  Limits limits() const override { return decoder_.limits(); }
  nn::CacheShape cache_shape() const override { return decoder_.cache_shape(); }
  at::ScalarType dtype() const override { return decoder_.dtype(); }
  at::Device device() const override { return decoder_.device(); }

  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    const VisionConfig& v = config_.vision;
    if (!config_.tiles.cut) return one_picture(v);
    TileRule::Grid grid =
        config_.tiles.grid_of(std::max<int64_t>(width, 1), std::max<int64_t>(height, 1), v.image_size, v.image_size);
    return {{"pixel_values", at::zeros({config_.tiles.tiles_in(grid), v.channels, v.image_size, v.image_size})}};
  }
  at::Tensor encode_pictures(const NamedTensors& pictures) override { return encode(tiles(pictures)).flatten(0, 1); }

 private:
  std::unique_ptr<DecoderBlock> looking_block(const WeightView& weights, int64_t layer,
                                              std::unique_ptr<DecoderBlock> block) {
    auto cross = std::make_unique<GatedCrossLayer>(weights, config_.text, layer, GatedCrossLayer::Blind::pass);
    cross_layers_.push_back(cross.get());
    return std::make_unique<LookingBlock>(std::move(cross), std::move(block));
  }

  at::Tensor tiles(const NamedTensors& inputs) const {
    return pixel_values(inputs, config_.vision, decoder_.embedding());
  }

  // tiles [N, C, S, S] -> [N, t, D]
  at::Tensor encode(const at::Tensor& tiles) const {
    return (*connector_)(chosen_features(*vision_, config_.features(), tiles));
  }

  // ids [...] -> [..., D], tags behind the vocabulary from a table of their own
  at::Tensor embed_ids(const at::Tensor& ids) const {
    int64_t vocabulary = config_.text.vocabulary;
    check_ids(ids, vocabulary + config_.further_tags());
    at::Tensor placed = ids.to(device());
    if (!tags_) return decoder_.embed(placed);
    at::Tensor words = decoder_.embed(placed.clamp_max(vocabulary - 1));
    at::Tensor tags = (*tags_)((placed - vocabulary).clamp_min(0));
    return at::where((placed >= vocabulary).unsqueeze(-1), tags, words);
  }

  at::Tensor embeddings_of(const at::Tensor& ids, const FusedTiles& fused) const {
    at::Tensor embeddings = embed_ids(ids);
    bool marker = config_.fusion == ComposedConfig::Fusion::cross_attention && !config_.tagged();
    if (marker) return embeddings;  // the image token is a token like any other
    return put_features(embeddings, (ids == config_.image_token).to(device()), fused.in_text);
  }

  // What each row of the batch keeps; null where it looks at nothing.
  std::vector<std::shared_ptr<nn::Slots>> slots_of(const FusedTiles& fused) const {
    std::vector<std::shared_ptr<nn::Slots>> slots;
    if (!fused.beside.defined()) return slots;
    int64_t begin = 0;
    for (const at::Tensor& markers : fused.markers.unbind()) {
      int64_t count = markers.sum().item<int64_t>();
      slots.push_back(count == 0 ? nullptr : std::make_shared<nn::Slots>());
      if (count == 0) continue;
      at::Tensor states = fused.beside.narrow(0, begin, count).flatten(0, 1);
      for (const GatedCrossLayer* layer : cross_layers_) layer->prepare(states, *slots.back());
      slots.back()->emplace(GatedCrossLayer::kLookingSlot, looking(markers).to(device()));
      begin += count;
    }
    return slots;
  }

  static void leave_out_padding(const NamedTensors& inputs, int64_t row, nn::Slots& slots) {
    auto mask = inputs.find("attention_mask");
    if (mask == inputs.end()) return;
    at::Tensor real = mask->second[row].to(at::kBool).cpu(), behind = at::ones({1}, at::kBool);
    at::Tensor& looks = slots.at(GatedCrossLayer::kLookingSlot);
    looks = looks.index_select(0, at::cat({real, behind}).nonzero().squeeze(1).to(looks.device()));
  }

  ComposedConfig config_;
  std::unique_ptr<VisionTower> vision_;
  std::unique_ptr<Connector> connector_;
  std::vector<const GatedCrossLayer*> cross_layers_;
  LlamaDecoder decoder_;
  std::optional<nn::Table> tags_;
  PictureCache seen_;
};

}  // namespace

std::unique_ptr<Model> make_composed(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<ComposedModel>(weights, parse_composed_config(config));
}

NameRules composed_names(const ConfigReader& config) {
  NameRules rules;
  rules.ignored = {"*rotary_emb.inv_freq", "*embeddings.position_ids"};
  return rules;
}

}  // namespace nuri
