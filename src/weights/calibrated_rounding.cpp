#include "weights/calibrated_rounding.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/code_writer.h"
#include "kernels/quantized.h"
#include "weights/packing.h"

namespace nuri {
namespace {

using kernels::CodeLine;
using kernels::Coding;
using kernels::RowSteps;

constexpr int64_t kGroup = kernels::kCodeGroup;
constexpr double kDamping = 0.01;  // of the mean of the moments' diagonal, as in the paper's code
constexpr int kShrinks = 10;       // extents of 1, 0.96, ... that are tried
constexpr float kShrink = 0.04f;
// Columns that take over the errors of others grow: of the greatest scale that a row has before it, this many times
// is kept for what comes.
constexpr float kRoomForErrors = 1.15f;
constexpr int kPowers = 20;  // of the input's magnitude that are tried: 0, 0.05, ...

uint8_t code_for(const CodeLine& line, Coding coding, float x) {
  if (line.scale == 0) return static_cast<uint8_t>(kernels::code_offset(coding));
  const float highest = kernels::is_four_bits(coding) ? 15 : 255;
  return static_cast<uint8_t>(std::clamp(std::nearbyint((x - line.least) / line.scale), 0.0f, highest));
}

float number_for(const CodeLine& line, uint8_t code) {
  return std::fma(static_cast<float>(code), line.scale, line.least);
}

struct Extents {
  float least, most;
};
// Of numbers and zero.
Extents extents_of(const float* x, int64_t count) {
  const auto [low, high] = std::minmax_element(x, x + count);
  return {std::min(*low, 0.0f), std::max(*high, 0.0f)};
}

// The line of a group of `count` numbers whose squared error, weighed, is least.
CodeLine best_line(Coding coding, const RowSteps& steps, const float* x, const float* weights, int64_t count) {
  const auto [least, most] = extents_of(x, count);
  CodeLine best = kernels::line_of(coding, least, most, steps);
  double best_error = -1;
  for (int i = 0; i < kShrinks; ++i) {
    const float part = 1 - kShrink * static_cast<float>(i);
    const CodeLine line = kernels::line_of(coding, part * least, part * most, steps);
    double error = 0;
    for (int64_t j = 0; j < count; ++j) {
      const float off = x[j] - number_for(line, code_for(line, coding, x[j]));
      error += static_cast<double>(weights[j] * off * off);
    }
    if (best_error < 0 || error < best_error) best = line, best_error = error;
  }
  return best;
}

// Of each row, `room` times what its numbers need.
std::vector<RowSteps> steps_of_rows(const at::Tensor& w, float room) {
  const int64_t n = w.size(0), k = w.size(1), groups = kernels::count_groups(k);
  std::vector<RowSteps> steps(static_cast<size_t>(n));
  std::vector<float> least(static_cast<size_t>(groups)), most(least.size());
  for (int64_t row = 0; row < n; ++row) {
    const float* const x = w.const_data_ptr<float>() + row * k;
    for (int64_t group = 0; group < groups; ++group) {
      const Extents found = extents_of(x + group * kGroup, std::min(kGroup, k - group * kGroup));
      least[static_cast<size_t>(group)] = found.least, most[static_cast<size_t>(group)] = found.most;
    }
    const RowSteps needed = kernels::steps_of(least, most);
    steps[static_cast<size_t>(row)] = {room * needed.scale, room * needed.least};
  }
  return steps;
}

at::Tensor checked(const at::Tensor& numbers, Coding coding) {
  if (kernels::is_by_rows(coding))
    throw Error(ErrorKind::internal, fmt::format("calibrated rounding: found {}, expected a coding in groups",
                                                 kernels::coding_name(coding)));
  at::Tensor w = numbers.to(at::kFloat).contiguous();
  if (!at::isfinite(w).all().item<bool>())
    throw Error(ErrorKind::format, "quantize: found a number that is not finite, expected finite ones");
  return w;
}

// Rounds the columns [begin, begin + count) of w, one group. With `feedback` (the upper Cholesky factor of the inverse
// moments, [k, k]) the error of each column goes into those that follow within the group, and `errors` [n, count]
// becomes what those behind the group have to take over.
void round_group(at::Tensor& w, int64_t begin, int64_t count, const at::Tensor& diagonal, const at::Tensor& feedback,
                 at::Tensor& errors, Coding coding, const std::vector<RowSteps>& steps, kernels::CodeWriter& writer) {
  const int64_t n = w.size(0), k = w.size(1);
  float* const all = w.mutable_data_ptr<float>();
  const float* const weights = diagonal.const_data_ptr<float>() + begin;
  const float* const upper = feedback.defined() ? feedback.const_data_ptr<float>() : nullptr;
  float* const off = errors.mutable_data_ptr<float>();
  parallel_for(0, n, 16, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      float* const x = all + row * k + begin;
      const CodeLine line = best_line(coding, steps[static_cast<size_t>(row)], x, weights, count);
      uint8_t codes[kGroup] = {};
      for (int64_t j = 0; j < count; ++j) {
        codes[j] = code_for(line, coding, x[j]);
        if (upper == nullptr) continue;
        const float* const factors = upper + (begin + j) * k + begin;
        const float error = (x[j] - number_for(line, codes[j])) / factors[j];
        off[row * kGroup + j] = error;
        for (int64_t i = j + 1; i < count; ++i) x[i] -= error * factors[i];
      }
      writer.set(row, begin / kGroup, codes, line.scale, line.least);
    }
  });
}

WeightStore::Codes round_all(const at::Tensor& numbers, const at::Tensor& diagonal, const at::Tensor& feedback,
                             Coding coding) {
  at::Tensor w = checked(numbers, coding);
  if (w.is_same(numbers)) w = w.clone();
  const int64_t n = w.size(0), k = w.size(1);
  at::Tensor bytes = at::empty({kernels::quantized_bytes(coding, n, k)}, at::kByte);
  kernels::CodeWriter writer(coding, n, k, bytes.mutable_data_ptr());
  const std::vector<RowSteps> steps = steps_of_rows(w, feedback.defined() ? kRoomForErrors : 1.0f);
  for (int64_t row = 0; coding == Coding::int4_steps && row < n; ++row)
    writer.set_steps(row, steps[static_cast<size_t>(row)]);
  at::Tensor errors = at::empty({n, kGroup}, at::kFloat);
  for (int64_t begin = 0; begin < k; begin += kGroup) {
    const int64_t count = std::min(kGroup, k - begin), end = begin + count;
    round_group(w, begin, count, diagonal, feedback, errors, coding, steps, writer);
    if (feedback.defined() && end < k)
      w.narrow(1, end, k - end)
          .addmm_(errors.narrow(1, 0, count), feedback.narrow(0, begin, count).narrow(1, end, k - end), 1, -1);
  }
  return {coding, bytes, numbers.scalar_type()};
}

// The upper Cholesky factor of the inverse of the damped moments; a column that was never seen stands for itself.
at::Tensor feedback_of(const at::Tensor& moments) {
  at::Tensor h = moments.to(at::kDouble);
  at::Tensor diagonal = h.diagonal();
  const double mean = diagonal.mean().item<double>();
  diagonal.masked_fill_(diagonal == 0, mean);
  for (double damping = kDamping; damping <= 1; damping *= 10) {
    at::Tensor damped = h + at::eye(h.size(0), h.options()) * (damping * mean);
    auto [lower, failed] = at::linalg_cholesky_ex(damped);
    if (failed.item<int>() != 0) continue;
    auto [upper, failed_again] = at::linalg_cholesky_ex(at::cholesky_inverse(lower), /*upper=*/true);
    if (failed_again.item<int>() == 0) return upper.to(at::kFloat).contiguous();
  }
  throw Error(ErrorKind::format,
              "calibration: found inputs whose moments have no Cholesky factor, expected finite "
              "inputs");
}

void check_moments(const at::Tensor& numbers, const at::Tensor& moments) {
  TORCH_INTERNAL_ASSERT(moments.dim() == 2 && moments.size(0) == numbers.size(1) && moments.size(1) == moments.size(0));
  if (!at::isfinite(moments).all().item<bool>())
    throw Error(ErrorKind::format, "calibration: found an input that is not finite, expected finite ones");
}

// What weighs a column's error: damped, so that one which was hardly seen counts a little.
at::Tensor diagonal_of(const at::Tensor& moments) {
  at::Tensor diagonal = moments.diagonal().to(at::kFloat);
  return diagonal + kDamping * diagonal.mean();
}

}  // namespace

WeightStore::Codes round_with_feedback(const at::Tensor& numbers, const at::Tensor& moments, Coding coding) {
  check_moments(numbers, moments);
  at::Tensor diagonal = diagonal_of(moments);
  if (diagonal.max().item<float>() <= 0) return round_to_codes(numbers, coding);
  return round_all(numbers, diagonal, feedback_of(moments), coding);
}

WeightStore::Codes round_weighed(const at::Tensor& numbers, const at::Tensor& moments, Coding coding) {
  check_moments(numbers, moments);
  at::Tensor diagonal = diagonal_of(moments);
  if (diagonal.max().item<float>() <= 0) return round_to_codes(numbers, coding);
  return round_all(numbers, diagonal, {}, coding);
}

double output_error(const at::Tensor& numbers, const at::Tensor& rounded, const at::Tensor& moments) {
  at::Tensor off = rounded.to(at::kFloat) - numbers.to(at::kFloat);
  return (off.matmul(moments) * off).sum(at::kDouble).item<double>();
}

at::Tensor find_column_factors(const std::vector<at::Tensor>& matrices, const at::Tensor& moments, Coding coding) {
  at::Tensor magnitude = diagonal_of(moments).sqrt();
  at::Tensor best = at::ones_like(magnitude);
  if (magnitude.max().item<float>() <= 0) return best;
  magnitude = magnitude.clamp_min(magnitude.max().item<float>() * 1e-4f);
  double best_error = -1;
  for (int i = 0; i < kPowers; ++i) {
    at::Tensor factors = magnitude.pow(i / static_cast<double>(kPowers));
    factors = factors / (factors.max() * factors.min()).sqrt();
    at::Tensor scaled_moments = moments / (factors.unsqueeze(1) * factors);
    double error = 0;
    for (const at::Tensor& matrix : matrices) {
      at::Tensor scaled = matrix.to(at::kFloat) * factors;
      const int64_t n = scaled.size(0), k = scaled.size(1);
      error += output_error(scaled, numbers_of(round_weighed(scaled, scaled_moments, coding), n, k), scaled_moments);
    }
    if (best_error < 0 || error < best_error) best = factors, best_error = error;
  }
  return best;
}

}  // namespace nuri
