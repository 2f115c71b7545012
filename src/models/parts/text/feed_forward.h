#pragma once

#include "models/parts/interface.h"
#include "nn/layers.h"

namespace nuri {

// The half of a decoder's block behind attention.
class FeedForward {
 public:
  virtual ~FeedForward() = default;
  // x [N, D] -> [N, D]; `tap` may be null.
  virtual at::Tensor operator()(const at::Tensor& x, Tap* tap) const = 0;
  // other + the same
  virtual at::Tensor added(const at::Tensor& x, const at::Tensor& other, Tap* tap) const {
    return other + (*this)(x, tap);
  }
  // See Model, and CausalLM.
  virtual int64_t idle_parameters() const { return 0; }
  virtual bool can_record_steps() const { return false; }
};

// The same weights for every token.
class DenseFeedForward : public FeedForward {
 public:
  explicit DenseFeedForward(nn::GatedMlp mlp) : mlp_(std::move(mlp)) {}
  at::Tensor operator()(const at::Tensor& x, Tap*) const override { return mlp_(x); }
  at::Tensor added(const at::Tensor& x, const at::Tensor& other, Tap*) const override { return mlp_.added(x, other); }
  bool can_record_steps() const override { return true; }

 private:
  nn::GatedMlp mlp_;
};

}  // namespace nuri
