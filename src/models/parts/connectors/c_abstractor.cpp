#include "models/parts/connectors/c_abstractor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace nuri {
namespace {

constexpr double kEpsilon = 1e-6;

at::Tensor swish(const at::Tensor& x) { return ops::activate(x, ops::Activation::silu); }

// Channels between squeeze and excitation: a quarter of the block's input.
int64_t squeezed(int64_t in) {
  return std::max<int64_t>(static_cast<int64_t>(std::nearbyint(0.25 * static_cast<double>(in))), 1);
}

// The windows of an adaptive average pooling along one side, as a product: [to, from].
at::Tensor pooling_windows(int64_t from, int64_t to) {
  at::Tensor windows = at::zeros({to, from});
  for (int64_t row = 0; row < to; ++row) {
    int64_t begin = row * from / to, end = ((row + 1) * from + to - 1) / to;
    windows.select(0, row).narrow(0, begin, end - begin).fill_(1.0 / static_cast<double>(end - begin));
  }
  return windows;
}

}  // namespace

RegBlock::RegBlock(const WeightView& weights, int64_t in, int64_t out)
    : first_(weights / "conv1", in, out, false),
      first_norm_(weights / "norm1", out, kEpsilon),
      kernel_((weights / "conv2").get("weight", {out, 1, 3, 3}, Init::normal(1.0 / 3))),
      kernel_norm_(weights / "norm2", out, kEpsilon),
      squeeze_(weights / "squeeze", out, squeezed(in), true),
      excite_(weights / "excite", squeezed(in), out, true),
      last_(weights / "conv3", out, out, false),
      last_norm_(weights / "norm3", out, kEpsilon) {
  if (in == out) return;
  shortcut_.emplace(weights / "shortcut", in, out, false);
  shortcut_norm_.emplace(weights / "shortcut_norm", out, kEpsilon);
}

at::Tensor RegBlock::depthwise(const at::Tensor& x) const {
  if (x.is_meta()) return at::empty_like(x);  // libtorch has no convolution of shapes alone
  at::Tensor planes = x.permute({0, 3, 1, 2});
  at::Tensor made = at::conv2d(planes, kernel_, {}, /*stride=*/1, /*padding=*/1, /*dilation=*/1, kernel_.size(0));
  return made.permute({0, 2, 3, 1}).contiguous();
}

at::Tensor RegBlock::operator()(const at::Tensor& x) const {
  at::Tensor y = swish(first_norm_(first_(x)));
  y = swish(kernel_norm_(depthwise(y)));
  at::Tensor weights = excite_(swish(squeeze_(y.mean({1, 2}, /*keepdim=*/true)))).sigmoid();  // [N, 1, 1, out]
  y = last_norm_(last_(y * weights));
  return swish(y + (shortcut_ ? (*shortcut_norm_)((*shortcut_)(x)) : x));
}

CAbstractor::CAbstractor(const WeightView& weights, const ConnectorConfig& config)
    : side_(config.side),
      windows_(pooling_windows(config.side, std::llround(std::sqrt(static_cast<double>(config.queries))))),
      positions_(weights.get("position_embedding", {1, config.side * config.side, config.in})) {
  for (int64_t block = 0; block < config.depth; ++block)
    before_.emplace_back(weights / "before" / block, block == 0 ? config.in : config.hidden, config.hidden);
  for (int64_t block = 0; block < config.depth; ++block)
    after_.emplace_back(weights / "after" / block, config.hidden, config.hidden);
  for (int64_t layer = 0; layer < config.mlp_depth; ++layer)
    readout_.emplace_back(weights / "readout" / layer, layer == 0 ? config.hidden : config.out, config.out, true);
}

at::Tensor CAbstractor::operator()(const at::Tensor& patches) const {
  at::Tensor x = (patches + positions_).unflatten(1, {side_, side_});
  for (const RegBlock& block : before_) x = block(x);
  at::Tensor windows = windows_.to(x.options());
  x = at::matmul(windows, x.flatten(2)).unflatten(2, {side_, -1});  // [N, rows, side, C]
  x = at::matmul(windows, x);                                       // [N, rows, rows, C]
  for (const RegBlock& block : after_) x = block(x);
  x = x.flatten(1, 2);
  for (size_t layer = 0; layer < readout_.size(); ++layer) x = readout_[layer](layer == 0 ? x : swish(x));
  return x;
}

}  // namespace nuri
