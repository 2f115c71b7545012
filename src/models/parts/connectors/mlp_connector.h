#pragma once

#include "nn/layers.h"

namespace nuri {

// Two linear layers from the encoder's width to the decoder's, LLaVA 1.5's connector.
class MlpConnector {
 public:
  // `hidden`: the width between the two.
  MlpConnector(const WeightView& weights, int64_t in, int64_t hidden, int64_t out, ops::Activation activation,
               bool bias)
      : first_(weights / "linear_1", in, hidden, bias),
        second_(weights / "linear_2", hidden, out, bias),
        activation_(activation) {}
  // [..., in] -> [..., out]
  at::Tensor operator()(const at::Tensor& x) const { return second_(first_.activated(x, activation_)); }

 private:
  nn::Linear first_, second_;
  ops::Activation activation_;
};

}  // namespace nuri
