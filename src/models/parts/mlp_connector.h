#pragma once

#include "nn/layers.h"

namespace nuri {

// Two linear layers from the encoder's width to the decoder's, LLaVA 1.5's connector.
class MlpConnector {
 public:
  MlpConnector(const WeightView& weights, int64_t in, int64_t out, ops::Activation activation, bool bias)
      : first_(weights / "linear_1", in, out, bias),
        second_(weights / "linear_2", out, out, bias),
        activation_(activation) {}
  // [N, in] -> [N, out]
  at::Tensor operator()(const at::Tensor& x) const { return second_(ops::activate(first_(x), activation_)); }

 private:
  nn::Linear first_, second_;
  ops::Activation activation_;
};

}  // namespace nuri
