#include "models/opt/model.h"

#include "models/parts/text/language_model.h"

namespace nuri {

std::unique_ptr<Model> make_opt(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<TextModel>(make_language_model(weights, config, "opt"));
}

NameRules opt_names(const ConfigReader& config) {
  NameRules rules = language_model_names(config, "opt");
  rules.renames = {{"decoder.", "model.decoder."}};
  return rules;
}

}  // namespace nuri
