#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "models/qwen2_vl/config.h"
#include "models/qwen2_vl/grid.h"
#include "nn/layers.h"
#include "nn/rope.h"

namespace nuri {

// Rows [begin, begin + count * length) of a tensor: `count` groups of `length` rows that attend to one another.
struct RowGroups {
  int64_t begin, count, length;
  int64_t rows() const { return count * length; }
};

// One pre-norm layer of the encoder.
class QwenVisionLayer {
 public:
  virtual ~QwenVisionLayer() = default;
  // x [N, D], which is overwritten where no graph is kept; the groups cover its rows in order.
  virtual at::Tensor forward(at::Tensor x, const nn::Angles& angles, const std::vector<RowGroups>& groups) const = 0;
};

// The encoder of Qwen2-VL (Wang et al. 2024) and Qwen2.5-VL (Bai et al. 2025): patches of pictures in their own
// resolution, rotary positions by row and column, and `merge` x `merge` patches become one row for the decoder. No
// frame sees another, there is no mask, and without a graph only some rows at a time are ever wider than D: beside the
// patches a picture takes three tensors [P, D] and some megabytes.
class QwenVision {
 public:
  QwenVision(const WeightView& weights, const QwenVisionConfig& config);
  // patches [P, C * F * p * p] of the grids, in any type and on any device -> [P / merge^2, out_width]
  at::Tensor encode(const at::Tensor& patches, const std::vector<VisionGrid>& grids) const;

 private:
  // Some frames of one grid: patches [F * rows * columns, ...].
  at::Tensor encode_frames(const at::Tensor& patches, const VisionGrid& grid) const;
  nn::Angles angles(const VisionGrid& grid, const at::Tensor& order) const;
  at::Tensor merge(const at::Tensor& x) const;

  QwenVisionConfig config_;
  at::Tensor patch_weight_;
  std::vector<std::unique_ptr<QwenVisionLayer>> layers_;
  std::function<at::Tensor(const at::Tensor&)> norm_;
  nn::Linear merge_first_, merge_second_;
};

}  // namespace nuri
