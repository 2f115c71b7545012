#pragma once

#include <memory>

#include "models/parts/connectors/connector_config.h"
#include "nn/layers.h"

namespace nuri {

// Turns what an encoder makes of a picture or tile into rows that a decoder reads, or looks at.
class Connector {
 public:
  virtual ~Connector() = default;
  // patches [N, side * side, in], line by line -> [N, tokens, out]
  virtual at::Tensor operator()(const at::Tensor& patches) const = 0;
};

std::unique_ptr<Connector> make_connector(const WeightView& weights, const ConnectorConfig& config);

// Squares of `n` x `n` patches of x [B, side * side, D] as rows of their own: [B, (side / n)^2, n n D], line by line,
// or column by column (Chen et al. 2024).
at::Tensor pixel_shuffle(const at::Tensor& x, int64_t side, int64_t n, bool columns_first = false);

// The squares' means: [B, (side / n)^2, D].
at::Tensor spatial_pooling(const at::Tensor& x, int64_t side, int64_t n);

}  // namespace nuri
