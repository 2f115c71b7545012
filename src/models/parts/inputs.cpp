#include "models/parts/inputs.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <utility>

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

at::Tensor whole_input(const NamedTensors& inputs, const std::string& name, int64_t dimensions) {
  const at::Tensor& found = required_input(inputs, name, dimensions);
  if (!at::isIntegralType(found.scalar_type(), /*includeBool=*/false))
    throw Error(ErrorKind::usage,
                fmt::format("{}: found type {}, expected whole numbers", name, at::toString(found.scalar_type())));
  if (found.numel() == 0)
    throw Error(ErrorKind::usage,
                fmt::format("{}: found shape [{}], expected at least one value", name, fmt::join(found.sizes(), ", ")));
  return found.to(at::kLong);
}

bool flag_input(const NamedTensors& inputs, const std::string& name) {
  auto found = inputs.find(name);
  if (found == inputs.end()) return false;
  if (found->second.numel() != 1)
    throw Error(ErrorKind::usage,
                fmt::format("{}: found shape [{}], expected one value", name, fmt::join(found->second.sizes(), ", ")));
  return found->second.ne(0).item<bool>();
}

NamedTensors to_tensors(std::vector<NamedArray> arrays) {
  NamedTensors tensors;
  for (NamedArray& array : arrays)
    tensors[array.name] = std::visit(
        [&](auto& values) {
          using Values = std::decay_t<decltype(values)>;
          auto kept = std::make_shared<Values>(std::move(values));  // a large picture's are not there twice
          return at::from_blob(
              kept->data(), array.shape, [kept](void*) {},
              c10::CppTypeToScalarType<typename Values::value_type>::value);
        },
        array.values);
  return tensors;
}

NamedTensors take_tensors(PreparedPrompt& prompt) {
  NamedTensors tensors = to_tensors(std::exchange(prompt.pictures.arrays, {}));
  tensors.merge(to_tensors(std::exchange(prompt.videos, {})));
  tensors["input_ids"] = at::tensor(prompt.ids, at::kInt).to(at::kLong).unsqueeze(0);
  return tensors;
}

std::vector<DecoderInput> split_batch(const NamedTensors& inputs, const at::Tensor& embeddings,
                                      const at::Tensor& positions) {
  int64_t batch = embeddings.size(0), length = embeddings.size(1);
  at::Tensor real;
  if (inputs.contains("attention_mask")) {
    real = required_input(inputs, "attention_mask", 2).to(at::kBool).cpu();
    check_shape(real, {batch, length}, "attention_mask");
  }
  std::vector<DecoderInput> prompts;
  for (int64_t row = 0; row < batch; ++row) {
    DecoderInput prompt;
    prompt.embeddings = embeddings[row];
    if (positions.defined()) prompt.positions = positions.select(positions.dim() - 2, row).cpu();
    if (real.defined()) {
      at::Tensor kept = real[row].nonzero().squeeze(1);
      prompt.embeddings = prompt.embeddings.index_select(0, kept.to(embeddings.device()));
      if (positions.defined()) prompt.positions = prompt.positions.index_select(-1, kept);
    }
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

void check_ids(const at::Tensor& ids, int64_t vocabulary, const char* name) {
  if (ids.numel() == 0) return;
  auto [smallest, largest] = at::aminmax(ids);
  int64_t low = smallest.item<int64_t>(), high = largest.item<int64_t>();
  if (low < 0 || high >= vocabulary)
    throw Error(ErrorKind::usage, fmt::format("{}: found the id {}, expected ids from 0 to {}", name,
                                              low < 0 ? low : high, vocabulary - 1));
}

void check_shape(const at::Tensor& tensor, at::IntArrayRef shape, const char* name) {
  if (tensor.sizes() != shape)
    throw Error(ErrorKind::usage, fmt::format("{}: found shape [{}], expected [{}]", name,
                                              fmt::join(tensor.sizes(), ", "), fmt::join(shape, ", ")));
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
