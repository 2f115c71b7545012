#include "models/qwen2_vl/model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "base/error.h"
#include "models/parts/fusion/unified_fusion.h"
#include "models/parts/inputs.h"
#include "models/parts/text/llama_decoder.h"
#include "models/parts/vision/picture_cache.h"
#include "models/qwen2_vl/grid.h"
#include "models/qwen2_vl/picture_processor.h"
#include "models/qwen2_vl/vision.h"

namespace nuri {
namespace {

// Patches [P, C * F * p * p] of several pictures or videos.
struct Patches {
  at::Tensor values;  // undefined: none
  std::vector<VisionGrid> grids;
};

class Qwen2VlModel : public CausalLM, public MediaEncoder {
 public:
  Qwen2VlModel(const WeightView& weights, const Qwen2VlConfig& config)
      : config_(config), vision_(weights / "visual", config.vision), decoder_(weights, config.text) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown(inputs, {"position_ids", "logits_to_keep", "labels"});
    Patches pictures = pictures_of(inputs), videos = videos_of(inputs);
    at::Tensor ids = whole_input(inputs, "input_ids", 2), picture_rows = encode(pictures), video_rows = encode(videos);
    NamedTensors placed = inputs;
    if (!inputs.contains("position_ids"))
      if (auto found = positions(inputs, pictures, videos)) placed["position_ids"] = found->positions;
    NamedTensors outputs = forward_batch(decoder_, fuse(ids, picture_rows, video_rows), placed);
    if (picture_rows.defined()) outputs["image_embeds"] = picture_rows;
    if (video_rows.defined()) outputs["video_embeds"] = video_rows;
    return outputs;
  }

  Limits limits() const override { return decoder_.limits(); }
  nn::CacheShape cache_shape() const override { return decoder_.cache_shape(); }
  at::ScalarType dtype() const override { return decoder_.dtype(); }
  at::Device device() const override { return decoder_.device(); }

  std::vector<DecoderInput> embed(const NamedTensors& inputs) override {
    refuse_unknown(inputs, {});
    Patches pictures = pictures_of(inputs), videos = videos_of(inputs);
    at::Tensor rows = fuse(whole_input(inputs, "input_ids", 2), see(pictures), see(videos));
    auto found = positions(inputs, pictures, videos);
    if (!found) return split_batch(inputs, rows);
    std::vector<DecoderInput> prompts = split_batch(inputs, rows, found->positions);
    for (size_t i = 0; i < prompts.size(); ++i) prompts[i].shift = found->shifts[i];
    return prompts;
  }
  at::Tensor embed_made(const at::Tensor& ids) override { return decoder_.embed(ids); }
  at::Tensor step(const Step& step, nn::KvCache& cache) override { return decoder_.step(step, cache); }
  bool can_record_steps() const override { return tap_ == nullptr && decoder_.can_record_steps(); }

  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    const QwenVisionConfig& v = config_.vision;
    PixelSize size = smart_resize({width, height}, v.patch * v.merge, kDefaultPictureBounds);
    int64_t rows = size.height / v.patch, columns = size.width / v.patch;
    return {{"pixel_values", at::zeros({rows * columns, v.patch_values()})},
            {"image_grid_thw", at::tensor({int64_t{1}, rows, columns}, at::kLong).unsqueeze(0)}};
  }
  at::Tensor encode_pictures(const NamedTensors& pictures) override { return encode(pictures_of(pictures)); }

 private:
  void refuse_unknown(const NamedTensors& inputs, std::vector<std::string> more) const {
    more.insert(more.end(), {"input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw",
                             "pixel_values_videos", "video_grid_thw"});
    if (config_.vision.tokens_per_second > 0) more.push_back("second_per_grid_ts");
    refuse_unknown_inputs(inputs, more);
  }

  Patches pictures_of(const NamedTensors& inputs) const { return patches_of(inputs, "pixel_values", "image_grid_thw"); }
  Patches videos_of(const NamedTensors& inputs) const {
    return patches_of(inputs, "pixel_values_videos", "video_grid_thw");
  }
  Patches patches_of(const NamedTensors& inputs, const char* name, const char* grid_name) const {
    if (!inputs.contains(name) && !inputs.contains(grid_name)) return {};
    const at::Tensor& values = required_input(inputs, name, 2);
    check_shape(values, {values.size(0), config_.vision.patch_values()}, name);
    if (!at::isFloatingType(values.scalar_type()))
      throw Error(ErrorKind::usage, fmt::format("{}: found type {}, expected floating-point numbers", name,
                                                at::toString(values.scalar_type())));
    return {values, read_grids(inputs, grid_name, config_.vision.merge, values.size(0))};
  }

  at::Tensor encode(const Patches& patches) const {
    return patches.values.defined() ? vision_.encode(patches.values, patches.grids) : at::Tensor();
  }

  // The same for inference, each picture or video once.
  at::Tensor see(const Patches& patches) {
    if (!patches.values.defined()) return {};
    std::vector<at::Tensor> pictures;
    int64_t begin = 0;
    for (const VisionGrid& grid : patches.grids) {
      // With its grid as its shape, since equal patches in another grid are another picture.
      pictures.push_back(
          patches.values.narrow(0, begin, grid.patches()).reshape({grid.time, grid.rows, grid.columns, -1}));
      begin += grid.patches();
    }
    return at::cat(seen_(pictures, [&](const std::vector<size_t>& missing) {
      std::vector<at::Tensor> made;
      for (size_t i : missing) made.push_back(vision_.encode(pictures[i].flatten(0, 2), {patches.grids[i]}));
      return made;
    }));
  }

  // ids [B, T] -> [B, T, D]
  at::Tensor fuse(const at::Tensor& given, const at::Tensor& pictures, const at::Tensor& videos) const {
    at::Tensor ids = given.to(device());
    at::Tensor rows = put_features(decoder_.embed(ids), ids == config_.image_token, pictures);
    return put_features(rows, ids == config_.video_token, videos, "video");
  }

  // `mm_token_type_ids`; without it the reference refuses Qwen2-VL's inputs, whose tokens tell it as well, and counts
  // the positions of Qwen2.5-VL's.
  at::Tensor token_types(const NamedTensors& inputs, const at::Tensor& ids) const {
    if (inputs.contains("mm_token_type_ids")) {
      at::Tensor types = whole_input(inputs, "mm_token_type_ids", 2).cpu();
      check_shape(types, ids.sizes(), "mm_token_type_ids");
      return types;
    }
    if (config_.vision.kind == QwenVisionConfig::Kind::qwen2_5) return {};
    return ((ids == config_.image_token).to(at::kLong) + 2 * (ids == config_.video_token).to(at::kLong)).cpu();
  }

  // Nothing where no token stands in a grid: positions are then counted.
  std::optional<TokenPositions> positions(const NamedTensors& inputs, const Patches& pictures,
                                          const Patches& videos) const {
    if (pictures.grids.empty() && videos.grids.empty()) return {};
    at::Tensor ids = whole_input(inputs, "input_ids", 2), types = token_types(inputs, ids);
    if (!types.defined()) return {};
    at::Tensor mask;
    if (auto found = inputs.find("attention_mask"); found != inputs.end() && found->second.dim() == 2) {
      check_shape(found->second, ids.sizes(), "attention_mask");
      mask = found->second.to(at::kBool).cpu();
    }
    MediaGrids media{pictures.grids, videos.grids, {}};
    media.intervals = intervals(inputs, videos.grids, media.single_precision);
    return token_positions(types, mask, media, config_.vision.merge);
  }

  // How many positions apart the frames of each video are.
  std::vector<double> intervals(const NamedTensors& inputs, const std::vector<VisionGrid>& grids,
                                bool& single_precision) const {
    constexpr double kFarthest = 1e9;  // positions
    auto rate = static_cast<double>(std::max<int64_t>(config_.vision.tokens_per_second, 1));
    std::vector<double> intervals(grids.size(), rate);
    if (!inputs.contains("second_per_grid_ts")) return intervals;
    at::Tensor seconds = required_input(inputs, "second_per_grid_ts", 1);
    check_shape(seconds, {static_cast<int64_t>(grids.size())}, "second_per_grid_ts");
    single_precision = seconds.scalar_type() != at::kDouble;
    for (size_t i = 0; i < grids.size(); ++i) {
      double interval = (seconds[static_cast<int64_t>(i)] * rate).item<double>();
      if (!(interval >= 0 && interval * static_cast<double>(grids[i].time) <= kFarthest))
        throw Error(ErrorKind::usage, fmt::format("second_per_grid_ts: found {}, expected a number from 0",
                                                  seconds[static_cast<int64_t>(i)].item<double>()));
      intervals[i] = interval;
    }
    return intervals;
  }

  Qwen2VlConfig config_;
  QwenVision vision_;
  LlamaDecoder decoder_;
  PictureCache seen_;
};

}  // namespace

std::unique_ptr<Model> make_qwen2_vl(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<Qwen2VlModel>(weights, parse_qwen2_vl_config(config));
}

NameRules qwen2_vl_names(const ConfigReader& config) {
  NameRules rules;
  rules.renames = {{"model.visual.", "visual."}, {"model.language_model.", "model."}};
  rules.ignored = {"*rotary_emb.inv_freq", "*rotary_pos_emb.inv_freq"};
  return rules;
}

}  // namespace nuri
