// Operators that work a row at a time: in one pass where a kernel may run, else by libtorch's operators.
#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "kernels/convert.h"
#include "kernels/silu_gate.h"
#include "ops/kernel_access.h"
#include "ops/ops.h"

namespace nuri::ops {
namespace {

using kernels::Element;

// The rows of `x` [N, width] as float32, one after the other: change(row, from, to) makes of one what goes to `y`; `to`
// may be `from`.
template <class Change>
void for_each_row(const at::Tensor& x, at::Tensor& y, int64_t width, const Change& change) {
  constexpr int64_t kGrain = 1 << 14;  // elements worth a thread
  Element type = element_of(x);
  const char* from = static_cast<const char*>(x.const_data_ptr());
  char* to = static_cast<char*>(y.mutable_data_ptr());
  int64_t row_bytes = width * x.element_size();
  parallel_for(0, x.numel() / width, std::max<int64_t>(kGrain / width, 1), [&](int64_t begin, int64_t end) {
    if (type == Element::float32) {
      for (int64_t row = begin; row < end; ++row)
        change(row, reinterpret_cast<const float*>(from + row * row_bytes),
               reinterpret_cast<float*>(to + row * row_bytes));
      return;
    }
    std::vector<float> floats(width);
    for (int64_t row = begin; row < end; ++row) {
      kernels::convert(from + row * row_bytes, type, floats.data(), Element::float32, width);
      change(row, floats.data(), floats.data());
      kernels::convert(floats.data(), Element::float32, to + row * row_bytes, type, width);
    }
  });
}

// `x` itself where it already is what a kernel reads: an operator of libtorch that has nothing to do costs as much as
// the work on one row.
at::Tensor as_floats(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat && x.is_contiguous() ? x : x.to(at::kFloat).contiguous();
}
at::Tensor in_order(const at::Tensor& x) { return x.is_contiguous() ? x : x.contiguous(); }

float sum_of_squares(const float* values, int64_t count) {
  constexpr int64_t kLanes = 16;  // sums side by side: one after the other would wait for each addition
  std::array<float, kLanes> lanes{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += values[i + lane] * values[i + lane];
  for (; i < count; ++i) lanes[0] += values[i] * values[i];
  float sum = 0;
  for (float lane : lanes) sum += lane;
  return sum;
}

at::Tensor rms_norm_rows(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  at::Tensor in = in_order(x), y = at::empty_like(in);
  int64_t width = x.size(-1);
  Element type = element_of(x);
  std::vector<float> factors(width, 1.0f);
  if (weight.defined())
    kernels::convert(in_order(weight).const_data_ptr(), element_of(weight), factors.data(), Element::float32, width);
  for_each_row(in, y, width, [&](int64_t, const float* from, float* row) {
    float mean = sum_of_squares(from, width) / static_cast<float>(width);
    float factor = 1.0f / std::sqrt(mean + static_cast<float>(epsilon));
    for (int64_t i = 0; i < width; ++i) row[i] = from[i] * factor;
    if (type != Element::float32) {  // the reference rounds before it applies the weight
      std::vector<uint16_t> rounded(width);
      kernels::convert(row, Element::float32, rounded.data(), type, width);
      kernels::convert(rounded.data(), type, row, Element::float32, width);
    }
    for (int64_t i = 0; i < width; ++i) row[i] *= factors[i];
  });
  return y;
}

// The pairs of a head's values are `apart` from one another, and the next pair begins `step` further.
at::Tensor rotate_rows(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine, int64_t apart,
                       int64_t step) {
  at::Tensor in = in_order(x), y = at::empty_like(in), c = as_floats(cosine), s = as_floats(sine);
  int64_t heads = x.size(1), half = x.size(2) / 2;
  for_each_row(in, y, heads * 2 * half, [&](int64_t row, const float* from, float* to) {
    const float* cosines = c.const_data_ptr<float>() + row * half;
    const float* sines = s.const_data_ptr<float>() + row * half;
    for (int64_t head = 0; head < heads; ++head, from += 2 * half, to += 2 * half)
      for (int64_t i = 0; i < half; ++i) {
        const float a = from[i * step], b = from[i * step + apart];
        to[i * step] = a * cosines[i] - b * sines[i];
        to[i * step + apart] = b * cosines[i] + a * sines[i];
      }
  });
  return y;
}

bool can_rotate_rows(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  return x.dim() == 3 && x.numel() > 0 && x.size(2) % 2 == 0 && cosine.numel() == x.size(0) * (x.size(2) / 2) &&
         sine.sizes() == cosine.sizes() && kernels_may_run({x, cosine, sine});
}

at::Tensor silu_gate(const at::Tensor& gate, const at::Tensor& up) {
  at::Tensor g = in_order(gate), u = in_order(up), y = at::empty_like(g);
  kernels::silu_gate(g.const_data_ptr(), u.const_data_ptr(), y.mutable_data_ptr(), element_of(y), y.numel());
  return y;
}

at::Tensor quick_gelu(const at::Tensor& x) {
  if (!kernels_may_run({x})) return x * at::sigmoid(1.702 * x);
  at::Tensor in = in_order(x), y = at::empty_like(in);
  kernels::quick_gelu(in.const_data_ptr(), y.mutable_data_ptr(), element_of(y), y.numel());
  return y;
}

}  // namespace

at::Tensor activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::quick_gelu:
      return quick_gelu(x);
    case Activation::relu:
      return at::relu(x);
    case Activation::silu:
      return at::silu(x);
    case Activation::tanh:
      return at::tanh(x);
  }
  TORCH_INTERNAL_ASSERT(false);
}

at::Tensor gated(const at::Tensor& gate, const at::Tensor& up, Activation activation) {
  bool fits = activation == Activation::silu && gate.sizes() == up.sizes() && gate.scalar_type() == up.scalar_type();
  if (fits && kernels_may_run({gate, up})) return silu_gate(gate, up);
  return activate(gate, activation) * up;
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  bool fits = x.dim() >= 1 && x.numel() > 0 &&
              (!weight.defined() || (weight.numel() == x.size(-1) &&
                                     (x.scalar_type() == weight.scalar_type() || x.scalar_type() == at::kFloat)));
  if (fits && kernels_may_run({x, weight})) return rms_norm_rows(x, weight, epsilon);
  at::Tensor wide = x.to(at::kFloat);
  at::Tensor scaled = wide * at::rsqrt(wide.square().mean(-1, true) + epsilon);
  at::Tensor normal = scaled.to(x.scalar_type());
  return weight.defined() ? weight * normal : normal;
}

at::Tensor rotate_half(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  if (can_rotate_rows(x, cosine, sine)) return rotate_rows(x, cosine, sine, x.size(2) / 2, 1);
  auto halves = x.chunk(2, -1);
  at::Tensor c = cosine.unsqueeze(1).to(x.scalar_type()), s = sine.unsqueeze(1).to(x.scalar_type());
  return at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, -1);
}

at::Tensor rotate_pairs(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine) {
  if (can_rotate_rows(x, cosine, sine)) return rotate_rows(x, cosine, sine, 1, 2);
  at::Tensor pairs = x.to(at::kFloat).unflatten(-1, {-1, 2}), a = pairs.select(-1, 0), b = pairs.select(-1, 1);
  at::Tensor c = cosine.unsqueeze(1), s = sine.unsqueeze(1);
  return at::stack({a * c - b * s, b * c + a * s}, -1).flatten(-2).to(x.scalar_type());
}

}  // namespace nuri::ops
