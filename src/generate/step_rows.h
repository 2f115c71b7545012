#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "models/parts/interface.h"

namespace nuri {

// [n] int64
at::Tensor to_tensor(const std::vector<int64_t>& values, at::Device device);

// Throws Error(usage) for a prompt's tensors that no model of that width gives.
void check_input(const DecoderInput& input, int64_t width);
// Throws Error(usage) for tokens that the model does not have.
void check_given(const std::vector<int64_t>& given, int64_t vocabulary);

// The prompt with further tokens [n, D] behind it.
void append_rows(DecoderInput& input, const at::Tensor& further);

// Positions of a step's rows, one after the other.
class StepPositions {
 public:
  // Rows [past, past + count) of a sequence.
  void add(const DecoderInput& input, int64_t past, int64_t count);
  // [T], or [3, T] where a row has three.
  at::Tensor tensor(at::Device device) const;

 private:
  std::array<std::vector<int64_t>, 3> planes_;
  bool flat_ = true;
};

}  // namespace nuri
