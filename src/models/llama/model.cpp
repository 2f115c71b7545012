#include "models/llama/model.h"

#include "models/parts/text/language_model.h"
#include "models/parts/text/llama_decoder.h"

namespace nuri {

std::unique_ptr<Model> make_llama(const ConfigReader& config, const WeightView& weights) {
  return make_decoder_model(std::make_unique<LlamaDecoder>(weights, parse_llama_config(config)));
}

std::unique_ptr<Model> make_qwen2(const ConfigReader& config, const WeightView& weights) {
  return make_decoder_model(std::make_unique<LlamaDecoder>(weights, parse_qwen2_config(config)));
}

std::unique_ptr<Model> make_mistral(const ConfigReader& config, const WeightView& weights) {
  return make_decoder_model(std::make_unique<LlamaDecoder>(weights, parse_mistral_config(config)));
}

NameRules decoder_names(const ConfigReader& config) {
  NameRules rules;
  rules.ignored = {"*rotary_emb.inv_freq"};
  return rules;
}

}  // namespace nuri
