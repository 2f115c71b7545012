#include "tasks/model_folder.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>

#include "base/error.h"
#include "ops/ops.h"
#include "weights/model_config.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

// Folders that may hold bundled models: NURI_MODELS, those beside this library, and the source tree's.
std::vector<fs::path> bundled_folders() {
  std::vector<fs::path> folders;
  if (const char* given = std::getenv("NURI_MODELS")) folders.emplace_back(given);
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&find_model), &info) != 0 && info.dli_fname != nullptr) {
    std::error_code ignored;
    fs::path here = fs::weakly_canonical(info.dli_fname, ignored).parent_path();
    folders.push_back(here.parent_path() / "share/nuri/models");     // installed: lib/libnuri.so
    folders.push_back(here.parent_path().parent_path() / "models");  // build/release/libnuri.so
  }
  return folders;
}

// As `--weights` names it; nothing for "native".
std::optional<kernels::Coding> coding_named(const std::string& name) {
  if (name == "native") return {};
  if (name == "int8") return kernels::Coding::int8_rotated;
  if (name == "int4") return kernels::Coding::int4_steps;
  if (name == "bf12") return kernels::Coding::bfloat12;
  throw Error(ErrorKind::usage, fmt::format("--weights: found {}, expected native, bf12, int8 or int4", name));
}

}  // namespace

fs::path find_model(const std::string& name) {
  if (name.empty())
    throw Error(ErrorKind::usage, "MODEL: found nothing, expected a model folder or a bundled model's name");
  std::error_code ignored;  // what cannot be looked at is not there
  if (fs::is_directory(name, ignored) || is_gguf_model(name)) return name;
  if (fs::exists(name, ignored))
    throw Error(ErrorKind::usage, fmt::format("{}: found a file, expected a model folder or a GGUF file", name));
  std::string looked;
  if (name.find('/') == std::string::npos) {
    for (const auto& folder : bundled_folders()) {
      if (fs::is_directory(folder / name, ignored)) return folder / name;
      looked += (looked.empty() ? " (nor in " : ", ") + folder.string();
    }
    looked += looked.empty() ? "" : ")";
  }
  throw Error(ErrorKind::usage, fmt::format("{}: found no such model folder{}", name, looked));
}

LoadOptions load_options(const ModelOptions& options) {
  LoadOptions load;
  load.coding = coding_named(options.weights);
  if (options.device == "cuda") {
    if (!at::hasCUDA())
      throw Error(ErrorKind::unsupported, "--device: found cuda, but this libtorch finds no CUDA device");
    load.device = at::kCUDA;
  } else if (options.device != "cpu") {
    throw Error(ErrorKind::usage, fmt::format("--device: found {}, expected cpu or cuda", options.device));
  }
  if (options.dtype == "float32")
    load.dtype = at::kFloat;
  else if (options.dtype == "bfloat16")
    load.dtype = at::kBFloat16;
  else if (options.dtype == "float16")
    load.dtype = at::kHalf;
  else if (!options.dtype.empty())
    throw Error(ErrorKind::usage,
                fmt::format("--dtype: found {}, expected float32, bfloat16 or float16", options.dtype));
  if (options.threads < 0)
    throw Error(ErrorKind::usage, fmt::format("--threads: found {}, expected at least 1", options.threads));
  return load;
}

nn::CacheType cache_type(const ModelOptions& options) {
  if (options.cache == "native") return nn::CacheType::native;
  if (options.cache == "int8") return nn::CacheType::int8;
  throw Error(ErrorKind::usage, fmt::format("--cache: found {}, expected native or int8", options.cache));
}

OpenedModel open_model(const ModelOptions& options) {
  LoadOptions load = load_options(options);
  ops::use_torch_threads(options.threads);
  return open_model(find_model(options.model), load);
}

}  // namespace nuri
