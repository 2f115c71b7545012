#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/config_reader.h"
#include "train/optimizer.h"

namespace nuri {

// Weights a stage starts from: those called `take`... in the newest checkpoint of `from` (an earlier stage's
// name, or a model folder) become `as`...
struct StartWeights {
  std::string from, take, as;
};

// Weights whose names fit one of the patterns start `by` times as large as they would.
struct StartScale {
  double by;
  std::vector<std::string> weights;
};

// How long and how fast.
struct TrainOptions {
  int64_t steps = 0;
  int64_t batch = 1;       // examples a pass
  int64_t accumulate = 1;  // passes a step
  double learning_rate = 0, final_rate = 0;
  int64_t warmup = 0;
  double clip = 1.0;
  bool autocast = false;  // products in bfloat16
  OptimizerOptions optimizer;
  std::vector<std::string> freeze;  // patterns of parameter names, '*' stands for anything
  int64_t save_every = 0, keep = 2;
  int64_t log_every = 10;
};

struct Stage {
  std::string name;
  Json model;       // becomes config.json
  Json processor;   // becomes processor_config.json; null: none
  Json generation;  // becomes generation_config.json; null: none
  std::vector<StartWeights> start;
  std::vector<StartScale> scale;
  TrainOptions train;
  ConfigReader objective;  // read by the objective
};

struct Recipe {
  std::filesystem::path file;
  std::string name;
  std::filesystem::path output;  // relative to the working folder
  uint64_t seed = 0;
  std::optional<ConfigReader> tokenizer;  // how the tokenizer is made; absent: the model has none
  std::vector<Stage> stages;
  // Where the last stage's model is written as a plain model folder, in bfloat16.
  std::optional<std::filesystem::path> export_to;
  std::optional<ConfigReader> evaluation;  // read by the evaluation

  std::filesystem::path stage_folder(const Stage& stage) const { return output / stage.name; }
};

// A stage with `like` has the model, processor and generation tables of an earlier stage.
// Throws Error(usage) for an unknown key, naming the nearest known one, and Error(format) for a value of the wrong
// kind. Tables that others read ([stage.objective], [tokenizer], [evaluation]) are checked by them.
Recipe read_recipe(const std::filesystem::path& file);

}  // namespace nuri
