#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "train/optimizer.h"
#include "train/recipe.h"

namespace nuri {

// A checkpoint of training is a model folder as Hugging Face writes it, named step-NNNNNNNN, with two more files:
// training.safetensors (the optimiser's moments and the weights of training heads) and training.json.
struct RunCheckpoint {
  std::filesystem::path folder;
  int64_t step = 0;
};

// The newest whole checkpoint of a stage; half-written ones have another name until they are whole.
std::optional<RunCheckpoint> newest_checkpoint(const std::filesystem::path& stage_folder);

// Names of weights that are trained beside the model and are no part of it start with this.
inline constexpr std::string_view kHeadPrefix = "objective.";

struct SaveRequest {
  const Json& model_config;
  std::vector<std::filesystem::path> files;  // tokenizer and processor files to take along
  const std::vector<NamedTensor>& parameters;
  const Optimizer& optimizer;
  int64_t step;
};

// Writes `stage_folder`/step-N as a whole or not at all, then removes all but the newest `keep`.
void save_checkpoint(const std::filesystem::path& stage_folder, const SaveRequest& request, int64_t keep);

// A model folder with weights in bfloat16.
void export_model(const std::filesystem::path& from_checkpoint, const std::filesystem::path& folder,
                  const std::vector<NamedTensor>& parameters);

}  // namespace nuri
