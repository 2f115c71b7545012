#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace nuri::nn {

// How positions become angles. Scaling stretches a model's context beyond what it was trained on.
struct RopeShape {
  enum class Scaling { none, linear, dynamic, llama3 } scaling = Scaling::none;
  int64_t head_dim = 0;
  double theta = 10000.0;
  double factor = 1.0;
  int64_t trained_context = 0;  // of `dynamic` and `llama3`
  double low_frequency_factor = 1.0, high_frequency_factor = 4.0;
  // How many frequencies, in order, follow the position in time, in height, in width, again in time, ... (M-RoPE, Wang
  // et al. 2024, Qwen2-VL); together head_dim / 2. Empty: a position is one number.
  std::vector<int64_t> sections;
  // What each frequency is divided by, head_dim / 2 numbers; empty: nothing. GGUF files tell Llama 3's scaling so.
  std::vector<double> divisors;
};

struct Angles {
  at::Tensor cosine, sine;  // [N, head_dim / 2] float32
};

// Rotary position embedding (Su et al. 2021) with the scalings of Hugging Face's modeling_rope_utils.
class Rope {
 public:
  // `device`: of the positions, as a rule. Where they are on a GPU, nothing is then copied there at each use.
  explicit Rope(const RopeShape& shape, at::Device device = at::kCPU);
  // positions [N], or with sections also [3, N]; extents [N]: see AttentionContext, used by `dynamic` scaling only.
  Angles operator()(const at::Tensor& positions, const at::Tensor& extents) const;

 private:
  at::Tensor places(const at::Tensor& positions) const;
  at::Tensor dynamic_frequencies(const at::Tensor& extents) const;

  RopeShape shape_;
  at::Tensor frequencies_;  // [head_dim / 2]
  at::Tensor planes_;       // [head_dim / 2] int64, which of three positions a frequency follows; perhaps undefined
};

}  // namespace nuri::nn
