#pragma once

#include "common.h"

namespace nuri {

struct ForwardRequest {
  ModelOptions model;
  std::string input, output;        // safetensors, named as the Hugging Face `forward` arguments and outputs
  std::optional<int64_t> generate;  // exactly so many greedy tokens a row, as `sequences`
};

// Runs a model on tensors.
void forward(const ForwardRequest& request);

}  // namespace nuri
