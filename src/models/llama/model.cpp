#include "models/llama/model.h"

#include <ATen/ATen.h>

namespace nuri {
namespace {

class LlamaModel : public CausalLM {
 public:
  LlamaModel(const WeightView& weights, const LlamaDecoderConfig& config) : decoder_(weights, config) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, {"input_ids", "attention_mask", "position_ids", "logits_to_keep", "labels"});
    at::Tensor embeddings = decoder_.embed(whole_input(inputs, "input_ids", 2).to(device()));
    return forward_batch(decoder_, embeddings, inputs);
  }

  Limits limits() const override { return decoder_.limits(); }
  nn::CacheShape cache_shape() const override { return decoder_.cache_shape(); }
  at::ScalarType dtype() const override { return decoder_.dtype(); }
  at::Device device() const override { return decoder_.device(); }

  at::Tensor embed(const at::Tensor& ids, const NamedTensors& media) override {
    refuse_unknown_inputs(media, {});
    return decoder_.embed(ids);
  }
  at::Tensor embed_made(const at::Tensor& ids) override { return decoder_.embed(ids); }

  at::Tensor step(const Step& step, nn::KvCache& cache) override { return decoder_.step(step, cache); }

 private:
  LlamaDecoder decoder_;
};

}  // namespace

std::unique_ptr<Model> make_llama(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<LlamaModel>(weights, parse_llama_config(config));
}

std::unique_ptr<Model> make_qwen2(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<LlamaModel>(weights, parse_qwen2_config(config));
}

NameRules decoder_names(const ConfigReader& config) {
  NameRules rules;
  rules.ignored = {"*rotary_emb.inv_freq"};
  // Some publishers store the tied head a second time.
  if (config.optional("tie_word_embeddings", false)) rules.ignored.push_back("lm_head.weight");
  return rules;
}

}  // namespace nuri
