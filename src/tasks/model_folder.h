#pragma once

// Not installed: for the tasks themselves.

#include <filesystem>
#include <string>

#include "common.h"
#include "models/registry.h"

namespace nuri {

// A folder or a GGUF file as given, or the bundled model of that name (beside the program, in share/nuri/models or the
// source tree). Throws Error(usage) that lists where it looked.
std::filesystem::path find_model(const std::string& name);

// Threads, device and type of the options, checked.
LoadOptions load_options(const ModelOptions& options);

// How keys and values are kept, as `--cache` names it.
nn::CacheType cache_type(const ModelOptions& options);

// The model with its weights, opened outside inference mode.
OpenedModel open_model(const ModelOptions& options);

}  // namespace nuri
