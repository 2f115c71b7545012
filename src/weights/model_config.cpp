#include "weights/model_config.h"

#include "formats/gguf.h"
#include "formats/gguf_config.h"

namespace nuri {

bool is_gguf_model(const std::filesystem::path& path) { return is_gguf_file(path); }

ConfigReader model_config(const std::filesystem::path& path) {
  if (is_gguf_file(path)) {
    const GgufFile file(path);
    return ConfigReader(gguf_config(file.content(), file.bytes()), path.string());
  }
  std::error_code ignored;
  auto file = std::filesystem::is_directory(path, ignored) ? path / "config.json" : path;
  return ConfigReader(read_json_file(file), file.string());
}

}  // namespace nuri
