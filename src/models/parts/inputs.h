#pragma once

#include "models/parts/interface.h"
#include "ops/ops.h"

namespace nuri {

// The tensor `name` of `inputs` with `dimensions` dimensions, or Error(usage).
const at::Tensor& required_input(const NamedTensors& inputs, const std::string& name, int64_t dimensions);
// Throws Error(usage) for a name that is not among `known`.
void refuse_unknown_inputs(const NamedTensors& inputs, const std::vector<std::string>& known);
// The activation called `name` by `key` of a configuration, or Error(unsupported).
ops::Activation activation_named(const std::string& name, const char* key);

}  // namespace nuri
