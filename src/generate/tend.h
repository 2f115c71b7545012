#pragma once

#include <algorithm>
#include <chrono>

#include "models/parts/interface.h"

namespace nuri {

// Lets a model work for itself (Model::tend) behind steps that read no prompt: for an eighth of their time. What a
// piece of that work takes beyond it, later steps have less.
class Tending {
 public:
  void behind_step(Model& model, double step_s) {
    using Clock = std::chrono::steady_clock;
    left_s_ = std::min(left_s_, 0.0) + step_s / 8;
    while (left_s_ > 0) {
      auto begin = Clock::now();
      if (!model.tend()) return;
      left_s_ -= std::chrono::duration<double>(Clock::now() - begin).count();
    }
  }

 private:
  double left_s_ = 0;
};

}  // namespace nuri
