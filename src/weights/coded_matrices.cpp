#include "weights/coded_matrices.h"

#include "base/config_reader.h"
#include "weights/packed_folder.h"

namespace nuri {

std::unique_ptr<CodedMatrices> open_coded_matrices(std::shared_ptr<const Checkpoint> checkpoint) {
  std::filesystem::path file = checkpoint->path() / "config.json";
  if (!std::filesystem::is_regular_file(file)) return nullptr;
  ConfigReader config(read_json_file(file), file.string());
  if (!config.has("quantization_config")) return nullptr;
  ConfigReader quantization = config.child("quantization_config");
  auto method = quantization.required<std::string>("quant_method");
  if (method == "nuri") return open_packed_folder(std::move(checkpoint), quantization);
  quantization.reject("quant_method", "a method that is known here");
}

}  // namespace nuri
