#include "models/parts/inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace nuri {

const at::Tensor& required_input(const NamedTensors& inputs, const std::string& name, int64_t dimensions) {
  auto found = inputs.find(name);
  if (found == inputs.end()) throw Error(ErrorKind::usage, fmt::format("the input tensor {} is missing", name));
  if (found->second.dim() != dimensions)
    throw Error(ErrorKind::usage, fmt::format("{}: found shape [{}], expected {} dimensions", name,
                                              fmt::join(found->second.sizes(), ", "), dimensions));
  return found->second;
}

void refuse_unknown_inputs(const NamedTensors& inputs, const std::vector<std::string>& known) {
  for (const auto& [name, tensor] : inputs)
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw Error(ErrorKind::usage,
                  fmt::format("found the input tensor {}, expected only {}", name, fmt::join(known, ", ")));
}

ops::Activation activation_named(const std::string& name, const char* key) {
  auto activation = ops::activation_from_name(name);
  if (!activation)
    throw Error(
        ErrorKind::unsupported,
        fmt::format("config.json: {}: found {}, expected gelu, gelu_pytorch_tanh, quick_gelu, silu, relu or tanh", key,
                    name));
  return *activation;
}

}  // namespace nuri
