#pragma once

#include <filesystem>

#include "base/config_reader.h"

namespace nuri {

// Whether a model is one GGUF file (formats/gguf.h).
bool is_gguf_model(const std::filesystem::path& path);

// What a model's configuration says: config.json of its folder, this file itself, or the metadata of a GGUF file in the
// words of a config.json. Throws as read_json_file does, Error(format) or Error(unsupported) for a GGUF file.
ConfigReader model_config(const std::filesystem::path& path);

}  // namespace nuri
