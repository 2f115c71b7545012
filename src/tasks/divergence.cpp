#include "tasks/divergence.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace nuri {
namespace {

constexpr int64_t kRows = 64;  // in double precision at once: 64 x 128k are 65 MB

void append(std::vector<double>& values, const at::Tensor& rows) {
  at::Tensor whole = rows.to(at::kDouble).contiguous();
  const double* data = whole.const_data_ptr<double>();
  values.insert(values.end(), data, data + whole.numel());
}

void check_logits(const at::Tensor& logits, const char* name) {
  if (logits.isnan().any().item<bool>() || logits.amax(-1).isinf().any().item<bool>())
    throw Error(ErrorKind::unsupported,
                fmt::format("the logits of {}: found some that are not finite, expected numbers", name));
}

// The least value that so large a share of them does not exceed.
double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  auto place = values.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

Estimate exponential(const Estimate& logarithm) {
  double value = std::exp(logarithm.value);
  return {value, value * logarithm.error};
}

}  // namespace

void Divergence::add(const at::Tensor& a, const at::Tensor& b, std::span<const int64_t> tokens) {
  auto count = static_cast<int64_t>(tokens.size());
  if (a.dim() != 2 || a.sizes() != b.sizes() || a.size(0) != count)
    throw Error(ErrorKind::internal, fmt::format("divergence: found logits [{}] and [{}] of {} tokens",
                                                 fmt::join(a.sizes(), ", "), fmt::join(b.sizes(), ", "), count));
  check_logits(a, "A"), check_logits(b, "B");
  at::Tensor ids = at::empty({count, 1}, at::kLong);
  std::copy(tokens.begin(), tokens.end(), ids.mutable_data_ptr<int64_t>());
  for (int64_t begin = 0; begin < count; begin += kRows) {
    int64_t rows = std::min(kRows, count - begin);
    at::Tensor log_a = a.narrow(0, begin, rows).log_softmax(-1, at::kDouble);
    at::Tensor log_b = b.narrow(0, begin, rows).log_softmax(-1, at::kDouble);
    at::Tensor token = ids.narrow(0, begin, rows);
    append(loss_a_, -log_a.gather(1, token));
    append(loss_b_, -log_b.gather(1, token));
    append(equal_, log_a.argmax(-1) == log_b.argmax(-1));
    at::Tensor share = log_a.exp();
    // A token that a rules out adds nothing, whatever b says of it.
    append(kl_, at::where(share > 0, share * (log_a - log_b), at::zeros_like(share)).sum(-1).clamp_min(0));
  }
}

TokenComparison Divergence::result() const {
  TokenComparison result;
  result.tokens = static_cast<int64_t>(kl_.size());
  std::vector<double> further(loss_b_.size());
  std::transform(loss_b_.begin(), loss_b_.end(), loss_a_.begin(), further.begin(), std::minus<>());
  result.perplexity_a = exponential(estimate(loss_a_));
  result.perplexity_b = exponential(estimate(loss_b_));
  result.perplexity_ratio = exponential(estimate(further));
  result.kl = estimate(kl_);
  result.kl_median = quantile(kl_, 0.5), result.kl_99 = quantile(kl_, 0.99);
  result.kl_most = kl_.empty() ? 0 : *std::max_element(kl_.begin(), kl_.end());
  result.equal_top = estimate(equal_);
  return result;
}

Estimate estimate(std::span<const double> values) {
  auto count = static_cast<double>(values.size());
  if (values.empty()) return {};
  double sum = 0, squares = 0;
  for (double value : values) sum += value;
  double mean = sum / count;
  for (double value : values) squares += (value - mean) * (value - mean);
  return {mean, values.size() > 1 ? std::sqrt(squares / (count - 1) / count) : 0};
}

}  // namespace nuri
