#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "nn/layers.h"

namespace nuri::nn {

// Which experts work on each row, and with what weight: [N, k] each, `experts` int64.
struct Routing {
  at::Tensor experts, weights;
};

// Rows of a batch gathered by the expert that works on them, and brought back: each of N rows is taken once for every
// expert that it is sent to, M = N * k rows in all.
class Dispatch {
 public:
  // experts [N, k] of `count`
  Dispatch(const at::Tensor& experts, int64_t count);

  // x [N, D] -> [M, D], the rows of one expert after another
  at::Tensor gather(const at::Tensor& x) const { return x.index_select(0, rows_); }
  // Of Routing: weights [N, k] -> [M, 1]
  at::Tensor gather_weights(const at::Tensor& weights) const;
  // y [M, D] -> [N, D], the sum over the experts of each row
  at::Tensor combine(const at::Tensor& y) const;

  // Of each expert, how many of the M rows are its own.
  const std::vector<int64_t>& counts() const { return counts_; }

 private:
  int64_t choices_;
  at::Tensor order_;    // [M] which of the N * k choices each gathered row is
  at::Tensor rows_;     // [M] which row of x it is
  at::Tensor inverse_;  // [N * k] where a choice was gathered to
  std::vector<int64_t> counts_;
};

// Gated feed-forwards side by side, of which each row passes a few: down(act(gate(x)) * up(x)) (Shazeer et al. 2017,
// Fedus et al. 2021). The weights stay as they lie in the checkpoint, or are codes, matrix by matrix; those of an
// expert that has no row are not read.
class Experts {
 public:
  struct Shape {
    int64_t count, width, hidden;
    ops::Activation activation;
  };
  // How `gate_up_proj` and `down_proj` hold all experts: [E, 2 F, D] and [E, D, F] to multiply by the transposed, or
  // [E, D, 2 F] and [E, F, D] to multiply by as they are.
  enum class Layout { transposed, direct };

  // Under `weights`: the two tensors, or, as older files and packed ones have them, N.w1.weight (gate) [F, D],
  // N.w3.weight (up) [F, D] and N.w2.weight (down) [D, F].
  Experts(const WeightView& weights, const Shape& shape, Layout layout, double deviation = 0.02);

  // Gathered rows [M, D] -> [M, D]
  at::Tensor operator()(const at::Tensor& gathered, const Dispatch& dispatch) const;

  // Numbers in one expert's weights.
  int64_t parameters_of_one() const { return 3 * shape_.width * shape_.hidden; }

 private:
  struct Expert {
    ops::Factor gate, up, down;  // [F, D], [F, D], [D, F]
  };
  // Views of one expert's part.
  Expert cut(const at::Tensor& gate_up, const at::Tensor& down) const;
  at::Tensor run(const Expert& expert, const at::Tensor& x) const;

  Shape shape_;
  Layout layout_;
  std::vector<Expert> experts_;
  at::Tensor gate_up_, down_;  // of all, where they lie together in numbers
};

}  // namespace nuri::nn
