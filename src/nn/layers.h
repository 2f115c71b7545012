#pragma once

#include <initializer_list>
#include <vector>

#include "ops/ops.h"
#include "weights/weight_view.h"

namespace nuri::nn {

// What a product takes for the matrix, without bias. A matrix of codes for libtorch's weight-only operators that these
// cannot hold (ops::to_weight_only) becomes numbers.
ops::Factor factor_of(const Matrix& weight);

// y = x W^T + b; weight [out, in], bias [out].
class Linear {
 public:
  Linear(const WeightView& weights, int64_t in, int64_t out, bool bias, double deviation = 0.02);
  // With a weight that was read already, perhaps another layer's.
  explicit Linear(const Matrix& weight);
  explicit Linear(ops::Factor factor) : factor_(std::move(factor)) {}
  at::Tensor operator()(const at::Tensor& x) const { return ops::linears(x, {&factor_, 1})[0]; }
  at::Tensor activated(const at::Tensor& x, ops::Activation activation) const {
    return ops::linear_activated(x, factor_, activation);
  }
  // other + y
  at::Tensor added(const at::Tensor& x, const at::Tensor& other) const { return ops::linear_added(x, factor_, other); }
  // Each of several layers' outputs for the same x: one call where one kernel can make them all.
  static std::vector<at::Tensor> together(const at::Tensor& x, std::initializer_list<const Linear*> layers);
  const ops::Factor& factor() const { return factor_; }
  void take_in_two() { factor_.in_two = true; }  // ops::Factor

 private:
  ops::Factor factor_;
};

// Rows of weight [count, width] by index: positions, buckets of distances. They stay numbers in every store.
class Table {
 public:
  Table(const WeightView& weights, int64_t count, int64_t width, double deviation = 0.02);
  // ids: int64, any shape -> [..., width]
  at::Tensor operator()(const at::Tensor& ids) const;
  const at::Tensor& weight() const { return weight_; }

 private:
  at::Tensor weight_;
};

// The same of words, which may be in codes, perhaps shared with the head of a language model.
class Embedding {
 public:
  Embedding(const WeightView& weights, int64_t count, int64_t width, double deviation = 0.02);
  // ids: int64, any shape -> [..., width] in the type of a model's activations, ops::activation_type
  at::Tensor operator()(const at::Tensor& ids) const;
  const Matrix& matrix() const { return weight_; }
  // The product with `matrix`, which is the embedding's own where they are tied; what products read is then not made
  // a second time.
  Linear head(const Matrix& matrix) const;
  // Of codes the type, device and shape alone: no number of it has a meaning.
  const at::Tensor& weight() const { return weight_.numbers; }

 private:
  Matrix weight_;
  ops::Factor rows_;
};

class LayerNorm {
 public:
  LayerNorm(const WeightView& weights, int64_t width, double epsilon);
  explicit LayerNorm(double epsilon) : epsilon_(epsilon) {}  // without weight and bias
  at::Tensor operator()(const at::Tensor& x) const { return ops::layer_norm(x, weight_, bias_, epsilon_); }

 private:
  at::Tensor weight_, bias_;
  double epsilon_;
};

class RmsNorm {
 public:
  RmsNorm(const WeightView& weights, int64_t width, double epsilon);
  at::Tensor operator()(const at::Tensor& x) const { return ops::rms_norm(x, weight_, epsilon_); }

 private:
  at::Tensor weight_;
  double epsilon_;
};

// down(act(gate(x)) * up(x)), the feed-forward of Llama and its relatives (Shazeer 2020).
class GatedMlp {
 public:
  GatedMlp(const WeightView& weights, int64_t width, int64_t hidden, ops::Activation activation, bool bias);
  at::Tensor operator()(const at::Tensor& x) const { return added(x, {}); }
  // other + the same
  at::Tensor added(const at::Tensor& x, const at::Tensor& other) const {
    return ops::feed_forward(x, gate_.factor(), up_.factor(), down_.factor(), activation_, other);
  }

 private:
  Linear gate_, up_, down_;
  ops::Activation activation_;
};

struct Qkv {
  at::Tensor query, key, value;  // [N, H, D], [N, K, D], [N, K, D]
};

// The three projections in front of attention, under their names in the checkpoint.
class QkvProjection {
 public:
  struct Shape {
    int64_t width, heads, kv_heads, head_dim;
    bool bias;
    bool in_two = false;  // rows for queries and keys: ops::Factor
  };
  struct Names {
    std::string_view query, key, value;
  };
  static constexpr Names kUsualNames{"q_proj", "k_proj", "v_proj"};

  QkvProjection(const WeightView& weights, const Shape& shape, double deviation = 0.02,
                const Names& names = kUsualNames);
  // x [N, width]
  Qkv operator()(const at::Tensor& x) const;

 private:
  Linear query_, key_, value_;
  Shape shape_;
};

}  // namespace nuri::nn
