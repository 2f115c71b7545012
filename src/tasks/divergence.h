#pragma once

// Not installed: part of compare.

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "tasks/compare.h"

namespace nuri {

// Gathers how two models weighed the same tokens.
class Divergence {
 public:
  // Logits [n, V] of both before each of the n tokens. Throws Error(unsupported) where a model gave something that is
  // no number, or where no token is left.
  void add(const at::Tensor& a, const at::Tensor& b, std::span<const int64_t> tokens);
  bool empty() const { return kl_.empty(); }
  TokenComparison result() const;

 private:
  std::vector<double> loss_a_, loss_b_;  // -log p of each token
  std::vector<double> kl_, equal_;
};

// The mean and its standard error, deviation / sqrt(n); of a single value the error is 0.
Estimate estimate(std::span<const double> values);

}  // namespace nuri
