#include "models/t5/model.h"

#include "models/parts/text/language_model.h"

namespace nuri {

std::unique_ptr<Model> make_t5(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<TextModel>(make_language_model(weights, config, "t5"));
}

NameRules t5_names(const ConfigReader& config) { return language_model_names(config, "t5"); }

}  // namespace nuri
