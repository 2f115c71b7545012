#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "weights/weight_view.h"

namespace nuri {

// A safetensors file as tensors of torch: whole, copied, in the file's types.
std::map<std::string, at::Tensor> read_tensors(const std::filesystem::path& file);

// Writes the tensors, on any device, in the given order; atomic.
void write_tensors(const std::filesystem::path& file, const std::vector<NamedTensor>& tensors,
                   const std::map<std::string, std::string>& metadata = {});

}  // namespace nuri
