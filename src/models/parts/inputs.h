#pragma once

#include "models/parts/interface.h"
#include "models/parts/processors/processor.h"
#include "ops/ops.h"

namespace nuri {

// The tensor `name` of `inputs` with `dimensions` dimensions, or Error(usage).
const at::Tensor& required_input(const NamedTensors& inputs, const std::string& name, int64_t dimensions);
// The same, of whole numbers, and with at least one value.
at::Tensor whole_input(const NamedTensors& inputs, const std::string& name, int64_t dimensions);
// The truth of an optional tensor of one value; false where it is absent.
bool flag_input(const NamedTensors& inputs, const std::string& name);
// Throws Error(usage) when an id is not below `vocabulary`, or negative.
void check_ids(const at::Tensor& ids, int64_t vocabulary, const char* name = "input_ids");
// Throws Error(usage) when the tensor `name` has another shape.
void check_shape(const at::Tensor& tensor, at::IntArrayRef shape, const char* name);
// The numbers stay where they are.
NamedTensors to_tensors(std::vector<NamedArray> arrays);
// `input_ids` [1, T] and the tensors of the pictures and videos, whose arrays it takes away.
NamedTensors take_tensors(PreparedPrompt& prompt);
// Rows of a batch as prompts of their own: embeddings [B, T, D] and positions ([B, T] or [3, B, T]; undefined: counted)
// without what the inputs' `attention_mask` [B, T] calls padding.
std::vector<DecoderInput> split_batch(const NamedTensors& inputs, const at::Tensor& embeddings,
                                      const at::Tensor& positions = {});
// Throws Error(usage) for a name that is not among `known`.
void refuse_unknown_inputs(const NamedTensors& inputs, const std::vector<std::string>& known);
// The activation called `name` by `key` of a configuration, or Error(unsupported).
ops::Activation activation_named(const std::string& name, const char* key);

}  // namespace nuri
