#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/parts/interface.h"
#include "train/recipe.h"

namespace nuri {

// What a stage teaches: it makes its examples and says how wrong the model is on them.
class Objective {
 public:
  virtual ~Objective() = default;

  struct Loss {
    at::Tensor total;                                   // a scalar with its graph
    std::vector<std::pair<std::string, double>> parts;  // what is worth a line in the metrics
  };
  // Examples [first, first + count): a pure function of their numbers, so that a resumed run sees what the run
  // that never stopped would have seen.
  virtual Loss loss(uint64_t first, int64_t count) = 0;
};

// What an objective may stand on.
struct ObjectiveContext {
  const ConfigReader& options;  // [stage.objective]
  Model& model;
  const ConfigReader& model_config;  // [stage.model]
  WeightView weights;                // for heads that are trained beside the model, scoped
  std::filesystem::path folder;      // tokenizer and processor files of the model
  uint64_t seed;
};

// By `kind` of the options: "dense", "contrastive", "names", "alignment", "conversation" or "q_former". Refuses unknown
// keys.
std::unique_ptr<Objective> make_objective(const ObjectiveContext& context);

}  // namespace nuri
