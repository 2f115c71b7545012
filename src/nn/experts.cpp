#include "nn/experts.h"

#include <ATen/ATen.h>

namespace nuri::nn {
namespace {

// On the meta device nobody knows who is chosen: as evenly as can be.
std::vector<int64_t> even_counts(int64_t rows, int64_t experts) {
  std::vector<int64_t> counts(experts, rows / experts);
  for (int64_t i = 0; i < rows % experts; ++i) ++counts[i];
  return counts;
}

std::vector<int64_t> count_each(const at::Tensor& experts, int64_t count) {
  if (experts.is_meta()) return even_counts(experts.numel(), count);
  at::Tensor counts = at::bincount(experts, {}, count).cpu();
  return {counts.const_data_ptr<int64_t>(), counts.const_data_ptr<int64_t>() + count};
}

}  // namespace

Dispatch::Dispatch(const at::Tensor& experts, int64_t count) : choices_(experts.size(1)) {
  at::Tensor flat = experts.reshape({-1});
  order_ = at::argsort(flat, /*stable=*/true);
  inverse_ = at::argsort(order_, /*stable=*/true);
  rows_ = at::div(order_, choices_, "floor");
  counts_ = count_each(flat, count);
}

at::Tensor Dispatch::gather_weights(const at::Tensor& weights) const {
  return weights.reshape({-1, 1}).index_select(0, order_);
}

at::Tensor Dispatch::combine(const at::Tensor& y) const {
  at::Tensor back = y.index_select(0, inverse_);
  return choices_ == 1 ? back : back.view({y.size(0) / choices_, choices_, y.size(1)}).sum(1);
}

Experts::Experts(const WeightView& weights, const Shape& shape, Layout layout, double deviation)
    : shape_(shape), layout_(layout) {
  const auto [count, width, hidden, activation] = shape;
  const Init init = Init::normal(deviation);
  const bool direct = layout == Layout::direct;
  MatrixPart gate{"gate_up_proj", {count, 2 * hidden, width}, 0, 0, direct}, down{"down_proj", {count, width, hidden}};
  if (direct) {
    gate.shape = {count, width, 2 * hidden};
    down.shape = {count, hidden, width};
    down.transposed = true;
  }
  const auto together = [&](const Matrix& part, const MatrixPart& whole) {
    return !part.coding && weights.has(whole.tensor) ? weights.get(whole.tensor, whole.shape, init) : at::Tensor();
  };
  MatrixPart up = gate;
  up.begin = hidden;
  for (int64_t i = 0; i < count; ++i) {
    gate.index = up.index = down.index = i;
    const std::string one = std::to_string(i);
    const Matrix first = weights.part(one + ".w1.weight", gate, hidden, width, init);
    const Matrix last = weights.part(one + ".w2.weight", down, width, hidden, init);
    experts_.push_back(
        {factor_of(first), factor_of(weights.part(one + ".w3.weight", up, hidden, width, init)), factor_of(last)});
    if (i > 0) continue;
    gate_up_ = together(first, gate);
    down_ = together(last, down);
  }
}

Experts::Expert Experts::cut(const at::Tensor& gate_up, const at::Tensor& down) const {
  bool direct = layout_ == Layout::direct;
  at::Tensor both = direct ? gate_up.t() : gate_up;  // [2 F, D]
  return {{both.narrow(0, 0, shape_.hidden), {}},
          {both.narrow(0, shape_.hidden, shape_.hidden), {}},
          {direct ? down.t() : down, {}}};
}

at::Tensor Experts::run(const Expert& expert, const at::Tensor& x) const {
  return ops::feed_forward(x, expert.gate, expert.up, expert.down, shape_.activation);
}

at::Tensor Experts::operator()(const at::Tensor& gathered, const Dispatch& dispatch) const {
  // Where gradients are wanted, all are taken apart at once: so the gradients of all are put together at once. The
  // views in `experts_` know of none.
  bool graph = at::GradMode::is_enabled() && gate_up_.defined() && down_.defined() &&
               (gate_up_.requires_grad() || down_.requires_grad());
  std::vector<at::Tensor> gate_up, down, made;
  if (graph) gate_up = gate_up_.unbind(0), down = down_.unbind(0);
  int64_t begin = 0;
  for (int64_t i = 0; i < shape_.count; ++i) {
    int64_t rows = dispatch.counts()[i];
    if (rows > 0) made.push_back(run(graph ? cut(gate_up[i], down[i]) : experts_[i], gathered.narrow(0, begin, rows)));
    begin += rows;
  }
  return made.empty() ? gathered : at::cat(made);
}

}  // namespace nuri::nn
