#include "nn/rope.h"

#include <ATen/ATen.h>

#include <numbers>
#include <numeric>

#include "base/error.h"

namespace nuri::nn {
namespace {

at::Tensor exponents(int64_t head_dim) { return at::arange(0, head_dim, 2, at::kFloat) / head_dim; }

// Llama 3.1: long wavelengths are stretched by `factor`, short ones kept, those between interpolated.
at::Tensor llama3_frequencies(const at::Tensor& frequencies, const RopeShape& shape) {
  double context = static_cast<double>(shape.trained_context);
  at::Tensor wavelength = 2 * std::numbers::pi / frequencies;
  at::Tensor smooth =
      (context / wavelength - shape.low_frequency_factor) / (shape.high_frequency_factor - shape.low_frequency_factor);
  at::Tensor between = (1 - smooth) * frequencies / shape.factor + smooth * frequencies;
  at::Tensor scaled = at::where(wavelength > context / shape.low_frequency_factor, frequencies / shape.factor, between);
  return at::where(wavelength < context / shape.high_frequency_factor, frequencies, scaled);
}

at::Tensor planes_of(const RopeShape& shape) {
  std::vector<int64_t> planes;
  for (size_t i = 0; i < shape.sections.size(); ++i) planes.insert(planes.end(), shape.sections[i], i % 3);
  if (static_cast<int64_t>(planes.size()) != shape.head_dim / 2 || shape.scaling == RopeShape::Scaling::dynamic)
    throw Error(ErrorKind::internal,
                "sections that are not the frequencies of a head, or that would be scaled by length");
  return at::tensor(planes, at::kLong);
}

}  // namespace

Rope::Rope(const RopeShape& shape, at::Device device) : shape_(shape) {
  frequencies_ = 1.0 / at::pow(shape.theta, exponents(shape.head_dim));
  if (shape.scaling == RopeShape::Scaling::linear) frequencies_ = frequencies_ / shape.factor;
  if (shape.scaling == RopeShape::Scaling::llama3) frequencies_ = llama3_frequencies(frequencies_, shape);
  if (!shape.divisors.empty()) frequencies_ = frequencies_ / at::tensor(shape.divisors, at::kFloat);
  if (!shape.sections.empty()) planes_ = planes_of(shape);
  if (!device.is_cuda()) return;
  frequencies_ = frequencies_.to(device);
  if (planes_.defined()) planes_ = planes_.to(device);
}

// [N] -> [N, 1]; [3, N] -> [N, head_dim / 2], for each frequency the position that it follows.
at::Tensor Rope::places(const at::Tensor& positions) const {
  at::Tensor place = positions.to(at::kFloat);
  if (place.dim() == 1) return place.unsqueeze(-1);
  if (!planes_.defined() || place.size(0) != 3)
    throw Error(ErrorKind::internal, "positions of several dimensions for rotary positions without sections");
  return place.t().index_select(1, planes_.to(positions.device()));
}

// The base grows with the sequence once it is longer than the trained context: [N, head_dim / 2].
at::Tensor Rope::dynamic_frequencies(const at::Tensor& extents) const {
  double dim = static_cast<double>(shape_.head_dim), trained = static_cast<double>(shape_.trained_context);
  at::Tensor length = extents.to(at::kFloat).clamp_min(trained).unsqueeze(-1);
  at::Tensor base = shape_.theta * at::pow(shape_.factor * length / trained - (shape_.factor - 1), dim / (dim - 2));
  return 1.0 / at::pow(base, exponents(shape_.head_dim).to(extents.device()));
}

Angles Rope::operator()(const at::Tensor& positions, const at::Tensor& extents) const {
  at::Tensor place = places(positions), angle;
  if (shape_.scaling == RopeShape::Scaling::dynamic) {
    at::Tensor lengths = extents.defined() ? extents : (positions.max() + 1).expand(positions.sizes());
    angle = place * dynamic_frequencies(lengths);
  } else {
    angle = place * frequencies_.to(positions.device());
  }
  return {angle.cos(), angle.sin()};
}

}  // namespace nuri::nn
