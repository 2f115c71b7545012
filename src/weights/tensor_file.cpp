#include "weights/tensor_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/config_reader.h"
#include "base/error.h"
#include "formats/safetensors.h"
#include "weights/stores.h"

namespace nuri {

std::map<std::string, at::Tensor> read_tensors(const std::filesystem::path& file) {
  SafetensorsFile mapped(file);
  std::map<std::string, at::Tensor> tensors;
  for (const auto& info : mapped.tensors()) {
    at::Tensor tensor;
    try {
      tensor = at::empty(info.shape, at::TensorOptions().dtype(torch_dtype(info.dtype)));
    } catch (const c10::Error&) {  // sizes whose product overflows beside a zero, or too little memory
      throw Error(ErrorKind::resource, fmt::format("{}: tensor {}: found shape {}, which no memory holds",
                                                   file.string(), shown_text(info.name), shape_text(info.shape)));
    }
    auto bytes = mapped.data(info);
    if (!bytes.empty()) std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
    tensors.emplace(info.name, tensor);
  }
  return tensors;
}

void write_tensors(const std::filesystem::path& file, const std::vector<NamedTensor>& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<at::Tensor> kept;
  std::vector<TensorData> list;
  for (const auto& [name, tensor] : tensors) {
    kept.push_back(tensor.detach().cpu().contiguous());
    list.push_back({name, file_dtype(tensor.scalar_type()), tensor.sizes().vec(), kept.back().data_ptr()});
  }
  write_safetensors(file, list, metadata);
}

}  // namespace nuri
