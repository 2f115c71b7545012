#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weights/weight_view.h"

namespace nuri {

struct OptimizerOptions {
  double beta1 = 0.9, beta2 = 0.98;  // of AdamW
  double epsilon = 1e-8;
  double weight_decay = 0.05;  // of weights with two and more dimensions
  // Matrices whose names fit one of these patterns follow Muon. For matrices between hidden states; embeddings and
  // heads learn better with AdamW.
  std::vector<std::string> muon;
  double momentum = 0.95;  // of Muon
  // The share of the learning rate at which AdamW steps. At Muon's usual rates AdamW drove the rare rows of a tied
  // embedding all in one direction.
  double adamw_share = 1;
};

// AdamW (Loshchilov and Hutter 2019) over the parameters that take part, and Muon (Jordan et al. 2024) over the
// matrices that `options.muon` names; moments in float32. Muon's update is scaled to AdamW's usual size (Liu et al.
// 2025, "Muon is scalable for LLM training").
class Optimizer {
 public:
  // Parameters must be leaves that require a gradient. Their moments start at zero.
  Optimizer(std::vector<NamedTensor> parameters, const OptimizerOptions& options);

  // One update from the gradients; parameters without one (unused in this step) stay as they are.
  void step(double learning_rate);
  void zero_gradients();
  // Scales all gradients so that their common norm is at most `limit` (0: no limit) -> the norm before.
  double clip_gradients(double limit);

  // "NAME.first", and of those that follow AdamW "NAME.second" and "NAME.step" as well.
  std::vector<NamedTensor> state() const;
  // Throws Error(format) when one is missing or has another shape; `file` stands in the message.
  void load_state(const std::map<std::string, at::Tensor>& state, const std::string& file);

  const std::vector<NamedTensor>& parameters() const { return parameters_; }

 private:
  struct Moments {
    at::Tensor first, second, step;  // Muon has the first alone
    bool muon() const { return !second.defined(); }
  };
  void step_adamw(double learning_rate, bool matrices);
  void step_muon(double learning_rate);

  OptimizerOptions options_;
  std::vector<NamedTensor> parameters_;
  std::vector<Moments> moments_;  // of each parameter
};

// The orthogonal matrix nearest to `matrix` [rows, columns], roughly: singular values between 0.7 and 1.2 after five
// Newton-Schulz steps (Jordan et al. 2024).
at::Tensor orthogonalized(const at::Tensor& matrix);

// Whether `name` fits `pattern`, in which '*' stands for any run of characters.
bool fits_pattern(std::string_view name, std::string_view pattern);

// The learning rate of step `step` (from 0): a linear warm-up, then half a cosine from `peak` down to `floor` at
// `total` steps.
double cosine_rate(int64_t step, int64_t warmup, int64_t total, double peak, double floor);

}  // namespace nuri
