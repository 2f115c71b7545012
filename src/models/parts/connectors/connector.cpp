#include "models/parts/connectors/connector.h"

#include <ATen/ATen.h>

#include <optional>

#include "models/parts/connectors/c_abstractor.h"
#include "models/parts/connectors/mlp_connector.h"
#include "models/parts/connectors/perceiver_resampler.h"
#include "models/parts/connectors/qformer.h"
#include "models/parts/inputs.h"

namespace nuri {
namespace {

using Kind = ConnectorConfig::Kind;

constexpr double kNormEpsilon = 1e-5;

class LinearConnector : public Connector {
 public:
  LinearConnector(const WeightView& weights, const ConnectorConfig& config)
      : linear_(weights / "linear", config.in, config.out, config.bias) {}
  at::Tensor operator()(const at::Tensor& patches) const override { return linear_(patches); }

 private:
  nn::Linear linear_;
};

// LLaVA 1.5's two layers, behind a pixel shuffle with a norm (InternVL, NVLM), behind a pooling, or alone.
class GridMlpConnector : public Connector {
 public:
  GridMlpConnector(const WeightView& weights, const ConnectorConfig& config)
      : config_(config),
        mlp_(weights, width(config), config.hidden, config.out, activation_named(config.activation, "hidden_act"),
             config.bias) {
    if (config.kind == Kind::pixel_shuffle) norm_.emplace(weights / "layer_norm", width(config), kNormEpsilon);
  }

  at::Tensor operator()(const at::Tensor& patches) const override {
    if (config_.kind == Kind::pixel_shuffle)
      return mlp_((*norm_)(pixel_shuffle(patches, config_.side, config_.factor)));
    return mlp_(config_.kind == Kind::mlp ? patches : spatial_pooling(patches, config_.side, config_.factor));
  }

 private:
  static int64_t width(const ConnectorConfig& config) {
    return config.kind == Kind::pixel_shuffle ? config.in * config.factor * config.factor : config.in;
  }

  ConnectorConfig config_;
  std::optional<nn::LayerNorm> norm_;
  MlpConnector mlp_;
};

// BLIP-2's, without the text.
class QFormerConnector : public Connector {
 public:
  QFormerConnector(const WeightView& weights, const ConnectorConfig& config)
      : queries_(weights.get("query_tokens", {1, config.queries, config.q_former.encoder.width})),
        former_(weights / "qformer", weights / "qformer" / "layernorm", config.q_former, config.in),
        projection_(weights / "language_projection", config.q_former.encoder.width, config.out, true) {}

  at::Tensor operator()(const at::Tensor& patches) const override {
    at::Tensor queries = queries_.expand({patches.size(0), -1, -1});
    return projection_(former_(queries, queries.size(1), patches));
  }

 private:
  at::Tensor queries_;
  QFormer former_;
  nn::Linear projection_;
};

// A part that keeps its own file.
template <class Part>
class PartConnector : public Connector {
 public:
  PartConnector(const WeightView& weights, const ConnectorConfig& config) : part_(weights, config) {}
  at::Tensor operator()(const at::Tensor& patches) const override { return part_(patches); }

 private:
  Part part_;
};

}  // namespace

std::unique_ptr<Connector> make_connector(const WeightView& weights, const ConnectorConfig& config) {
  switch (config.kind) {
    case Kind::linear:
      return std::make_unique<LinearConnector>(weights, config);
    case Kind::q_former:
      return std::make_unique<QFormerConnector>(weights, config);
    case Kind::perceiver_resampler:
      return std::make_unique<PartConnector<PerceiverResampler>>(weights, config);
    case Kind::c_abstractor:
      return std::make_unique<PartConnector<CAbstractor>>(weights, config);
    case Kind::mlp:
    case Kind::pixel_shuffle:
    case Kind::spatial_pooling:
      break;
  }
  return std::make_unique<GridMlpConnector>(weights, config);
}

at::Tensor pixel_shuffle(const at::Tensor& x, int64_t side, int64_t n, bool columns_first) {
  int64_t batch = x.size(0), width = x.size(2), cells = side / n;
  at::Tensor squares = x.reshape({batch, cells, n, cells, n, width});
  squares = columns_first ? squares.permute({0, 3, 1, 2, 4, 5}) : squares.permute({0, 1, 3, 2, 4, 5});
  return squares.reshape({batch, cells * cells, n * n * width});
}

at::Tensor spatial_pooling(const at::Tensor& x, int64_t side, int64_t n) {
  int64_t batch = x.size(0), width = x.size(2), cells = side / n;
  return x.reshape({batch, cells, n, cells, n, width}).mean({2, 4}).reshape({batch, cells * cells, width});
}

}  // namespace nuri
