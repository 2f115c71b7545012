#include "weights/coded_matrices.h"

#include <ATen/ATen.h>

#include "base/config_reader.h"
#include "kernels/quantized.h"
#include "weights/packed_folder.h"
#include "weights/published_matrices.h"

namespace nuri {

at::Tensor CodedMatrices::numbers(const std::string& matrix, int64_t n, int64_t k,
                                  std::optional<at::ScalarType> dtype) const {
  auto codes = read(matrix, n, k);
  TORCH_INTERNAL_ASSERT(codes, matrix, " has no codes that kernels read");
  at::Tensor rows = at::empty({n, k}, at::kFloat);
  kernels::dequantize(codes->coding, n, k, codes->bytes.const_data_ptr(), 0, n, rows.mutable_data_ptr<float>());
  return rows.to(dtype.value_or(codes->dtype));
}

std::unique_ptr<CodedMatrices> open_coded_matrices(std::shared_ptr<const Checkpoint> checkpoint) {
  std::filesystem::path file = checkpoint->path() / "config.json";
  if (!std::filesystem::is_regular_file(file)) return nullptr;
  ConfigReader config(read_json_file(file), file.string());
  ConfigReader place = config.has("quantization_config") ? config : config.child_or_empty("text_config");
  if (!place.has("quantization_config")) return nullptr;
  ConfigReader method = place.child("quantization_config");
  const auto name = method.maybe<std::string>("quant_method");
  if (name == "nuri") return open_packed_folder(std::move(checkpoint), method);
  if (name == "gptq") return open_gptq(std::move(checkpoint), config, method);
  if (name == "awq") return open_awq(std::move(checkpoint), config, method);
  if (name == "compressed-tensors") return open_compressed_tensors(std::move(checkpoint), config, method);
  method.reject("quant_method", "nuri, gptq, awq or compressed-tensors");
}

}  // namespace nuri
