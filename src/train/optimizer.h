#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "weights/weight_view.h"

namespace nuri {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.98;
  double epsilon = 1e-8;
  double weight_decay = 0.05;  // of weights with two and more dimensions
};

// AdamW (Loshchilov and Hutter 2019) over the parameters that take part; moments in float32.
class AdamW {
 public:
  // Parameters must be leaves that require a gradient. Their moments start at zero.
  AdamW(std::vector<NamedTensor> parameters, const AdamWOptions& options);

  // One update from the gradients; parameters without one (unused in this step) stay as they are.
  void step(double learning_rate);
  void zero_gradients();
  // Scales all gradients so that their common norm is at most `limit` (0: no limit) -> the norm before.
  double clip_gradients(double limit);

  // "NAME.first", "NAME.second" and "NAME.step" of every parameter.
  std::vector<NamedTensor> state() const;
  // Throws Error(format) when one is missing or has another shape; `file` stands in the message.
  void load_state(const std::map<std::string, at::Tensor>& state, const std::string& file);

  const std::vector<NamedTensor>& parameters() const { return parameters_; }

 private:
  AdamWOptions options_;
  std::vector<NamedTensor> parameters_;
  std::vector<at::Tensor> first_, second_, steps_;
};

// The learning rate of step `step` (from 0): a linear warm-up, then half a cosine from `peak` down to `floor` at
// `total` steps.
double cosine_rate(int64_t step, int64_t warmup, int64_t total, double peak, double floor);

}  // namespace nuri
