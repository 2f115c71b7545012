#pragma once

#include <optional>
#include <vector>

#include "models/parts/connectors/connector_config.h"
#include "nn/layers.h"

namespace nuri {

// One block of RegNet's kind, whose middle convolution has a group for each channel: 1x1, 3x3, squeeze and excite
// (Hu et al. 2018), 1x1, each behind a norm over the channels, and a residual (Radosavovic et al. 2020).
class RegBlock {
 public:
  RegBlock(const WeightView& weights, int64_t in, int64_t out);
  // x [N, H, W, in] -> [N, H, W, out]
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor depthwise(const at::Tensor& x) const;

  nn::Linear first_;
  nn::LayerNorm first_norm_;
  at::Tensor kernel_;  // [out, 1, 3, 3]
  nn::LayerNorm kernel_norm_;
  nn::Linear squeeze_, excite_, last_;
  nn::LayerNorm last_norm_;
  std::optional<nn::Linear> shortcut_;  // where the widths differ
  std::optional<nn::LayerNorm> shortcut_norm_;
};

// Convolutions, an average pooling to a square of queries, convolutions again, and linear layers: keeps what lies
// beside what (Honeybee, Cha et al. 2024). Weight names: position_embedding, before.N, after.N, readout.N.
class CAbstractor {
 public:
  CAbstractor(const WeightView& weights, const ConnectorConfig& config);
  // patches [N, side * side, in] -> [N, queries, out]
  at::Tensor operator()(const at::Tensor& patches) const;

 private:
  int64_t side_;
  at::Tensor windows_;    // of the pooling, along one side
  at::Tensor positions_;  // [1, side * side, in]
  std::vector<RegBlock> before_, after_;
  std::vector<nn::Linear> readout_;
};

}  // namespace nuri
