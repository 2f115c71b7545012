#include "models/parts/vision/picture_tower.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/parts/inputs.h"

namespace nuri {
namespace {

class SquareTower : public PictureTower {
 public:
  SquareTower(const WeightView& weights, const VisionConfig& config)
      : tower_(make_vision_tower(weights, config)), like_(weights.ledger().back().tensor) {}

  const std::vector<std::string>& inputs() const override {
    static const std::vector<std::string> names{"pixel_values"};
    return names;
  }
  VisionOutput encode(const NamedTensors& inputs) const override {
    return tower_->encode(pixel_values(inputs, tower_->config(), like_));
  }
  NamedTensors picture_inputs(int64_t, int64_t) const override { return one_picture(tower_->config()); }

 private:
  std::unique_ptr<VisionTower> tower_;
  at::Tensor like_;
};

class NaflexTower : public PictureTower {
 public:
  NaflexTower(const WeightView& weights, const VisionConfig& config)
      : config_(config),
        side_(static_cast<int64_t>(std::sqrt(static_cast<double>(config.naflex_patches)))),
        patches_(weights / "embeddings" / "patch_embedding", config.patch_size * config.patch_size * config.channels,
                 config.encoder.width, /*bias=*/true),
        positions_(weights / "embeddings" / "position_embedding", config.naflex_patches, config.encoder.width),
        encoder_(weights / "encoder", config.encoder),
        norm_after_(weights / "post_layernorm", config.encoder.width, config.encoder.epsilon) {
    if (config.pooling_head) head_.emplace(weights / "head", config.encoder);
  }

  const std::vector<std::string>& inputs() const override {
    static const std::vector<std::string> names{"pixel_values", "pixel_attention_mask", "spatial_shapes"};
    return names;
  }

  VisionOutput encode(const NamedTensors& inputs) const override {
    at::Tensor pixels = pixels_of(inputs);  // [N, P, p * p * C]
    int64_t pictures = pixels.size(0), length = pixels.size(1);
    at::Tensor mask = required_input(inputs, "pixel_attention_mask", 2).to(pixels.device(), at::kBool);
    check_shape(mask, {pictures, length}, "pixel_attention_mask");
    at::Tensor x = patches_(pixels) + positions(shapes_of(inputs, pictures, length), length);  // [N, P, D]
    at::Tensor keys = mask.view({pictures, 1, 1, length});
    x = encoder_.forward(x, encoder_.depth(), /*causal=*/false, keys.expand({-1, 1, length, -1}));
    at::Tensor last = norm_after_(x);
    return {last, head_ ? (*head_)(last, keys) : at::Tensor()};
  }

  // The grid whose cells are squares and that fills most of naflex_patches.
  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    double ratio = static_cast<double>(width) / static_cast<double>(height);
    auto most = config_.naflex_patches;
    int64_t rows = std::clamp<int64_t>(static_cast<int64_t>(std::sqrt(static_cast<double>(most) / ratio)), 1, most);
    int64_t columns = std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(rows) * ratio), 1, most / rows);
    at::Tensor mask = at::zeros({1, most}, at::kLong);
    mask.narrow(1, 0, rows * columns).fill_(1);
    return {{"pixel_values", at::zeros({1, most, config_.patch_size * config_.patch_size * config_.channels})},
            {"pixel_attention_mask", mask},
            {"spatial_shapes", at::tensor({rows, columns}, at::kLong).view({1, 2})}};
  }

 private:
  at::Tensor pixels_of(const NamedTensors& inputs) const {
    at::Tensor pixels = required_input(inputs, "pixel_values", 3);
    int64_t patch = config_.patch_size * config_.patch_size * config_.channels;
    if (pixels.size(2) != patch || pixels.numel() == 0)
      throw Error(ErrorKind::usage, fmt::format("pixel_values: found shape [{}], expected [pictures, patches, {}]",
                                                fmt::join(pixels.sizes(), ", "), patch));
    if (!at::isFloatingType(pixels.scalar_type()))
      throw Error(ErrorKind::usage, fmt::format("pixel_values: found type {}, expected floating-point numbers",
                                                at::toString(pixels.scalar_type())));
    return pixels.to(positions_.weight().device(), positions_.weight().scalar_type());
  }

  static at::Tensor shapes_of(const NamedTensors& inputs, int64_t pictures, int64_t length) {
    at::Tensor shapes = whole_input(inputs, "spatial_shapes", 2).cpu().contiguous();
    check_shape(shapes, {pictures, 2}, "spatial_shapes");
    for (int64_t i = 0; i < pictures; ++i) {
      int64_t rows = shapes[i][0].item<int64_t>(), columns = shapes[i][1].item<int64_t>();
      if (rows < 1 || columns < 1 || rows > length / columns)
        throw Error(ErrorKind::usage,
                    fmt::format("spatial_shapes: found {} rows of {} patches, expected 1 to {} patches", rows, columns,
                                length));
    }
    return shapes;
  }

  // [N, P, D]; padding gets the first position's, as in the reference.
  at::Tensor positions(const at::Tensor& shapes, int64_t length) const {
    const at::Tensor& learned = positions_.weight();
    at::Tensor grid = learned.to(at::kFloat).view({1, side_, side_, -1}).permute({0, 3, 1, 2});
    std::vector<at::Tensor> all;
    for (int64_t i = 0; i < shapes.size(0); ++i) {
      int64_t rows = shapes[i][0].item<int64_t>(), columns = shapes[i][1].item<int64_t>();
      at::Tensor stretched = at::_upsample_bilinear2d_aa(grid, {rows, columns}, /*align_corners=*/false);
      stretched = stretched.flatten(2).squeeze(0).t();  // [rows * columns, D]
      at::Tensor padding = stretched.narrow(0, 0, 1).expand({length - rows * columns, -1});
      all.push_back(at::cat({stretched, padding}).to(learned.scalar_type()));
    }
    return at::stack(all);
  }

  VisionConfig config_;
  int64_t side_;
  nn::Linear patches_;
  nn::Table positions_;
  EncoderStack encoder_;
  nn::LayerNorm norm_after_;
  std::optional<PoolingHead> head_;
};

}  // namespace

std::unique_ptr<PictureTower> make_square_tower(const WeightView& weights, const VisionConfig& config) {
  return std::make_unique<SquareTower>(weights, config);
}

std::unique_ptr<PictureTower> make_naflex_tower(const WeightView& weights, const VisionConfig& config) {
  return std::make_unique<NaflexTower>(weights, config);
}

}  // namespace nuri
