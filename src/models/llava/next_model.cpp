#include "models/llava/next_model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/llava/model.h"
#include "models/llava/next_config.h"
#include "models/parts/inputs.h"

namespace nuri {
namespace {

constexpr int64_t kLargestSide = int64_t{1} << 24;

// Of a picture, a tile shows the whole, and the others its parts in a grid.
class LlavaNextReader : public LlavaReader {
 public:
  LlavaNextReader(const WeightView& weights, const LlavaNextConfig& config)
      : LlavaReader(weights, config),
        config_(config),
        newline_(weights.get("image_newline", {config.text.width},
                             Init::normal(1 / std::sqrt(static_cast<double>(config.text.width))))) {}

  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    int64_t side = config_.vision.image_size;
    Resolution picture{std::clamp<int64_t>(height, 1, kLargestSide), std::clamp<int64_t>(width, 1, kLargestSide)};
    int64_t tiles = 1 + config_.tiles_in(best_resolution(picture, config_.pinpoints));
    return {{"pixel_values", at::zeros({1, tiles, config_.vision.channels, side, side})},
            {"image_sizes", at::tensor({picture.height, picture.width}, at::kLong).unsqueeze(0)}};
  }

  std::vector<std::string> inputs() const override { return {"pixel_values", "image_sizes"}; }

  // `pixel_values` [pictures, most tiles, C, S, S], of which a picture's first are its own; or all tiles in a row
  // [N, C, S, S].
  at::Tensor tiles(const NamedTensors& inputs, const at::Tensor& like) const override {
    std::vector<int64_t> counts;
    for (const Resolution& picture : picture_sizes(inputs))
      counts.push_back(1 + config_.tiles_in(best_resolution(picture, config_.pinpoints)));
    auto found = inputs.find("pixel_values");
    bool stacked = found != inputs.end() && found->second.dim() == 4;
    at::Tensor flat = stacked ? found->second : own_tiles(required_input(inputs, "pixel_values", 5), counts);
    int64_t total = 0;
    for (int64_t count : counts) total += count;
    at::Tensor checked = pixel_values({{"pixel_values", flat}}, config_.vision, like);
    if (checked.size(0) != total)
      throw Error(ErrorKind::usage,
                  fmt::format("pixel_values: found {} tiles, expected the {} that image_sizes tell of", checked.size(0),
                              total));
    return checked;
  }

  // tiles' features [N, t, D] -> [rows of all pictures, D]
  at::Tensor arrange(const at::Tensor& features, const NamedTensors& inputs) const override {
    std::vector<at::Tensor> rows;
    int64_t at = 0;
    for (const Resolution& picture : picture_sizes(inputs)) {
      Resolution grid = best_resolution(picture, config_.pinpoints);
      int64_t tiles = config_.tiles_in(grid);
      rows.push_back(features[at]);
      rows.push_back(grid_rows(features.narrow(0, at + 1, tiles), picture, grid));
      at += 1 + tiles;
    }
    return at::cat(rows);
  }

 private:
  // Height and width of each picture before it was cut.
  std::vector<Resolution> picture_sizes(const NamedTensors& inputs) const {
    at::Tensor sizes = whole_input(inputs, "image_sizes", 2).cpu();
    check_shape(sizes, {sizes.size(0), 2}, "image_sizes");
    std::vector<Resolution> pictures;
    for (int64_t i = 0; i < sizes.size(0); ++i) {
      Resolution picture{sizes[i][0].item<int64_t>(), sizes[i][1].item<int64_t>()};
      if (std::min(picture.height, picture.width) < 1 || std::max(picture.height, picture.width) > kLargestSide)
        throw Error(ErrorKind::usage, fmt::format("image_sizes: found {}x{}, expected sides from 1 to {}",
                                                  picture.width, picture.height, kLargestSide));
      pictures.push_back(picture);
    }
    return pictures;
  }

  static at::Tensor own_tiles(const at::Tensor& padded, const std::vector<int64_t>& counts) {
    auto pictures = static_cast<int64_t>(counts.size());
    std::vector<at::Tensor> own;
    for (int64_t i = 0; i < pictures; ++i) {
      if (padded.size(0) != pictures || padded.size(1) < counts[i])
        throw Error(ErrorKind::usage,
                    fmt::format("pixel_values: found shape [{}], expected [{}, {} or more tiles, ...] by image_sizes",
                                fmt::join(padded.sizes(), ", "), pictures, counts[i]));
      own.push_back(padded[i].narrow(0, 0, counts[i]));
    }
    return at::cat(own);
  }

  // A grid's tiles [rows * columns, t, D] -> the patches that show the picture, line by line, a newline behind each.
  at::Tensor grid_rows(const at::Tensor& tiles, Resolution picture, Resolution grid) const {
    int64_t side = config_.patches_per_side(), width = tiles.size(-1);
    int64_t rows = grid.height / config_.vision.image_size, columns = grid.width / config_.vision.image_size;
    at::Tensor patches = tiles.reshape({rows, columns, side, side, width}).permute({0, 2, 1, 3, 4});
    patches = patches.reshape({rows * side, columns * side, width});
    PatchRegion region = config_.region_of(picture, grid);
    patches = patches.narrow(0, region.top, region.rows).narrow(1, region.left, region.columns);
    at::Tensor newlines = newline_.to(patches.scalar_type()).expand({region.rows, 1, width});
    return at::cat({patches, newlines}, 1).flatten(0, 1);
  }

  LlavaNextConfig config_;
  at::Tensor newline_;  // [D]
};

}  // namespace

std::unique_ptr<Model> make_llava_next(const ConfigReader& config, const WeightView& weights) {
  LlavaNextConfig c = parse_llava_next_config(config);
  return std::make_unique<UnifiedModel>(std::make_unique<LlavaNextReader>(weights, c), weights / "language_model",
                                        c.text, c.image_token);
}

}  // namespace nuri
