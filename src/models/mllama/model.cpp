#include "models/mllama/model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "models/mllama/image_processor.h"
#include "models/mllama/vision.h"
#include "models/parts/inputs.h"
#include "models/parts/text/gated_cross_layer.h"
#include "models/parts/vision/picture_cache.h"

namespace nuri {
namespace {

// The decoder, and what its layers of cross-attention need of pictures.
class MllamaText : public CausalLM {
 public:
  MllamaText(const WeightView& weights, const MllamaTextConfig& config)
      : decoder_(weights, config.decoder,
                 [&](const WeightView& block, const LlamaDecoderConfig& decoder, int64_t layer,
                     int64_t cached_layer) -> std::unique_ptr<DecoderBlock> {
                   if (!config.looks[layer]) return make_llama_block(block, decoder, layer, cached_layer);
                   auto made = std::make_unique<GatedCrossLayer>(block, decoder, layer, GatedCrossLayer::Blind::attend);
                   cross_layers_.push_back(made.get());
                   return made;
                 }) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, {"input_ids", "attention_mask", "position_ids", "logits_to_keep", "labels"});
    return forward_batch(decoder_, decoder_.embed(whole_input(inputs, "input_ids", 2).to(device())), inputs, tap_);
  }

  Limits limits() const override { return decoder_.limits(); }
  nn::CacheShape cache_shape() const override { return decoder_.cache_shape(); }
  at::ScalarType dtype() const override { return decoder_.dtype(); }
  at::Device device() const override { return decoder_.device(); }

  std::vector<DecoderInput> embed(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, {"input_ids", "attention_mask"});
    return split_batch(inputs, decoder_.embed(whole_input(inputs, "input_ids", 2).to(device())));
  }
  at::Tensor embed_made(const at::Tensor& ids) override { return decoder_.embed(ids); }
  at::Tensor step(const Step& step, nn::KvCache& cache) override { return decoder_.step(step, cache, tap_); }

 protected:
  std::vector<const GatedCrossLayer*> cross_layers_;
  LlamaDecoder decoder_;
};

// Pictures of a batch, all rows' one after the other.
struct Pictures {
  at::Tensor pixels;        // [N, t, C, S, S]
  at::Tensor arrangements;  // [N] int64
  at::Tensor tiles;         // [N, t] boolean
};

class MllamaModel : public MllamaText, public MediaEncoder {
 public:
  MllamaModel(const WeightView& weights, const MllamaConfig& config)
      : MllamaText(weights / "language_model", config.text),
        config_(config),
        vision_(weights / "vision_model", config.vision),
        connector_(weights / "multi_modal_projector", config.vision.output_width(), config.text.decoder.width, true) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    std::vector<std::string> known = kKnown;
    known.insert(known.end(), {"position_ids", "logits_to_keep", "labels"});
    refuse_unknown_inputs(inputs, known);
    at::Tensor ids = whole_input(inputs, "input_ids", 2), states;
    if (inputs.contains("pixel_values")) states = encode(pictures_of(inputs));
    auto slots = slots_of(inputs, ids, states);
    std::vector<std::shared_ptr<const nn::Slots>> kept(slots.begin(), slots.end());
    return forward_batch(decoder_, decoder_.embed(ids.to(device())), inputs, tap_, std::move(kept));
  }

  std::vector<DecoderInput> embed(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, kKnown);
    at::Tensor ids = whole_input(inputs, "input_ids", 2), states;
    if (inputs.contains("pixel_values")) states = encode_once(pictures_of(inputs));
    auto slots = slots_of(inputs, ids, states);
    auto prompts = split_batch(inputs, decoder_.embed(ids.to(device())));
    for (size_t row = 0; row < slots.size(); ++row) {
      leave_out_padding(inputs, static_cast<int64_t>(row), *slots[row]);
      prompts[row].slots = slots[row];
    }
    return prompts;
  }

  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    const MllamaVisionConfig& v = config_.vision;
    TileArrangement best =
        best_arrangement(std::max<int64_t>(width, 1), std::max<int64_t>(height, 1), v.tiles, v.image_size);
    auto known = tile_arrangements(v.tiles);
    int64_t id = std::find(known.begin(), known.end(), best) - known.begin() + 1;
    at::Tensor tiles = at::arange(v.tiles, at::kLong) < best.high * best.wide;
    return {{"pixel_values", at::zeros({1, 1, v.tiles, v.channels, v.image_size, v.image_size})},
            {"aspect_ratio_ids", at::full({1, 1}, id, at::kLong)},
            {"aspect_ratio_mask", tiles.to(at::kLong).view({1, 1, v.tiles})}};
  }
  at::Tensor encode_pictures(const NamedTensors& inputs) override { return encode(pictures_of(inputs)).flatten(0, 1); }

 private:
  inline static const std::vector<std::string> kKnown = {
      "input_ids",         "attention_mask",       "pixel_values",          "aspect_ratio_ids",
      "aspect_ratio_mask", "cross_attention_mask", "cross_attention_states"};

  Pictures pictures_of(const NamedTensors& inputs) const;
  at::Tensor encode(const Pictures& pictures) const;
  at::Tensor encode_once(const Pictures& pictures);
  at::Tensor looking(const NamedTensors& inputs, const at::Tensor& ids, int64_t states) const;
  std::vector<std::shared_ptr<nn::Slots>> slots_of(const NamedTensors& inputs, const at::Tensor& ids,
                                                   const at::Tensor& encoded) const;
  static void leave_out_padding(const NamedTensors& inputs, int64_t row, nn::Slots& slots);

  MllamaConfig config_;
  MllamaVision vision_;
  nn::Linear connector_;
  PictureCache seen_;
};

// pixel_values [B, I, t, C, S, S], aspect_ratio_ids [B, I], aspect_ratio_mask [B, I, t]
Pictures MllamaModel::pictures_of(const NamedTensors& inputs) const {
  const MllamaVisionConfig& v = config_.vision;
  const at::Tensor& pixels = required_input(inputs, "pixel_values", 6);
  int64_t batch = pixels.size(0), count = pixels.size(1);
  check_shape(pixels, {batch, count, v.tiles, v.channels, v.image_size, v.image_size}, "pixel_values");
  if (!at::isFloatingType(pixels.scalar_type()))
    throw Error(ErrorKind::usage, fmt::format("pixel_values: found type {}, expected floating-point numbers",
                                              at::toString(pixels.scalar_type())));
  at::Tensor arrangements = whole_input(inputs, "aspect_ratio_ids", 2);
  check_shape(arrangements, {batch, count}, "aspect_ratio_ids");
  check_ids(arrangements, v.aspect_ratios + 1, "aspect_ratio_ids");
  at::Tensor tiles = required_input(inputs, "aspect_ratio_mask", 3).to(at::kBool);
  check_shape(tiles, {batch, count, v.tiles}, "aspect_ratio_mask");
  if (!tiles.any(2).all().item<bool>())
    throw Error(ErrorKind::usage, "aspect_ratio_mask: found a picture without a tile, expected at least one");
  return {pixels.flatten(0, 1).to(device(), dtype()), arrangements.flatten().to(device()),
          tiles.flatten(0, 1).to(device())};
}

// -> [N, t * (1 + P), D]
at::Tensor MllamaModel::encode(const Pictures& pictures) const {
  return connector_(vision_(pictures.pixels, pictures.arrangements, pictures.tiles)).flatten(1, 2);
}

// The same, one picture after the other, of which those seen before are known.
at::Tensor MllamaModel::encode_once(const Pictures& pictures) {
  auto bytes = [](const at::Tensor& x) { return x.contiguous().flatten().view(at::kByte); };
  std::vector<at::Tensor> whole;  // all that its states depend on
  for (int64_t i = 0; i < pictures.pixels.size(0); ++i)
    whole.push_back(
        at::cat({bytes(pictures.pixels[i]), bytes(pictures.tiles[i]), bytes(pictures.arrangements.narrow(0, i, 1))}));
  return at::stack(seen_(whole, [&](const std::vector<size_t>& missing) {
    std::vector<at::Tensor> made;
    for (size_t i : missing) {
      auto one = [&](const at::Tensor& all) { return all.narrow(0, static_cast<int64_t>(i), 1); };
      made.push_back(encode({one(pictures.pixels), one(pictures.arrangements), one(pictures.tiles)})[0]);
    }
    return made;
  }));
}

// `cross_attention_mask` [B, T, I, t] as [B, T, I * t], true where a token looks at a tile. Without it the reference's
// attention is causal, as if states were tokens, in a prompt of several, and sees everything behind it: [B, T + 1, S].
at::Tensor MllamaModel::looking(const NamedTensors& inputs, const at::Tensor& ids, int64_t states) const {
  if (!inputs.contains("cross_attention_mask")) {
    if (ids.size(1) == 1) return {};
    at::Tensor seen = at::ones({ids.size(1) + 1, states}, at::kBool).tril();
    seen[ids.size(1)].fill_(true);
    return seen.expand({ids.size(0), -1, -1}).to(device());
  }
  at::Tensor mask = required_input(inputs, "cross_attention_mask", 4);
  int64_t pictures = mask.size(2), tiles = config_.vision.tiles;
  check_shape(mask, {ids.size(0), ids.size(1), pictures, tiles}, "cross_attention_mask");
  if (pictures * tiles * config_.vision.tokens() != states)
    throw Error(ErrorKind::usage, fmt::format("cross_attention_mask: found {} pictures of {} tiles for {} states, "
                                              "expected {} states a tile",
                                              pictures, tiles, states, config_.vision.tokens()));
  return (mask == 1).flatten(2).to(device());
}

// What each row keeps: keys and values of its pictures for every layer that looks at them. Empty without pictures.
std::vector<std::shared_ptr<nn::Slots>> MllamaModel::slots_of(const NamedTensors& inputs, const at::Tensor& ids,
                                                              const at::Tensor& encoded) const {
  int64_t batch = ids.size(0), width = config_.text.decoder.width, pictures = 0;
  at::Tensor states = encoded;
  if (inputs.contains("cross_attention_states")) {
    if (encoded.defined())
      throw Error(ErrorKind::usage, "found pixel_values and cross_attention_states, expected one of them");
    states = required_input(inputs, "cross_attention_states", 3).to(device(), dtype());
  }
  if (states.defined()) {
    if (states.size(2) != width || states.numel() == 0 || states.size(0) % batch != 0)
      throw Error(ErrorKind::usage, fmt::format("pictures: found states of shape [{}] for {} rows of input_ids, "
                                                "expected equally many of each row, of width {}",
                                                fmt::join(states.sizes(), ", "), batch, width));
    states = states.reshape({batch, -1, width});
    pictures = std::max<int64_t>(states.size(1) / (config_.vision.tiles * config_.vision.tokens()), 1);
  }
  int64_t tokens = (ids == config_.image_token).sum(1).max().item<int64_t>();
  if (tokens > pictures)
    throw Error(ErrorKind::usage, fmt::format("input_ids: found {} image tokens for {} pictures, expected at most as "
                                              "many",
                                              tokens, pictures));
  std::vector<std::shared_ptr<nn::Slots>> slots;
  if (!states.defined()) return slots;
  at::Tensor looks = looking(inputs, ids, states.size(1));
  for (int64_t row = 0; row < batch; ++row) {
    slots.push_back(std::make_shared<nn::Slots>());
    for (const GatedCrossLayer* layer : cross_layers_) layer->prepare(states[row], *slots.back());
    if (looks.defined()) slots.back()->emplace(GatedCrossLayer::kLookingSlot, looks[row]);
  }
  return slots;
}

void MllamaModel::leave_out_padding(const NamedTensors& inputs, int64_t row, nn::Slots& slots) {
  auto looks = slots.find(GatedCrossLayer::kLookingSlot);
  auto mask = inputs.find("attention_mask");
  if (looks == slots.end() || mask == inputs.end()) return;
  at::Tensor real = mask->second[row].to(at::kBool);
  at::Tensor behind = at::ones({looks->second.size(0) - real.size(0)}, real.options());
  at::Tensor kept = at::cat({real, behind}).nonzero().squeeze(1);
  looks->second = looks->second.index_select(0, kept.to(looks->second.device()));
}

}  // namespace

std::unique_ptr<Model> make_mllama(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<MllamaModel>(weights, parse_mllama_config(config));
}

std::unique_ptr<Model> make_mllama_text(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<MllamaText>(weights, parse_mllama_text_config(config));
}

NameRules mllama_names(const ConfigReader&) {
  NameRules rules;
  rules.renames = {
      {"model.language_model.", "language_model.model."},
      {"model.vision_model.", "vision_model."},
      {"model.multi_modal_projector.", "multi_modal_projector."},
      {"lm_head.", "language_model.lm_head."},
  };
  rules.ignored = {"*rotary_emb.inv_freq"};
  return rules;
}

NameRules mllama_text_names(const ConfigReader&) {
  NameRules rules;
  rules.renames = {Rename{"language_model.", ""}};
  rules.ignored = {"*rotary_emb.inv_freq"};
  return rules;
}

}  // namespace nuri
