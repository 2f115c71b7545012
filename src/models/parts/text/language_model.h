#pragma once

#include "base/config_reader.h"
#include "models/parts/interface.h"
#include "models/parts/text/text_decoder.h"
#include "weights/stores.h"

namespace nuri {

// A language model that reads a prompt of embeddings: a decoder that continues it, or an encoder with a decoder that
// answers it. What a family puts among the embeddings is the family's.
class LanguageModel {
 public:
  virtual ~LanguageModel() = default;

  // ids [...] -> [..., D]. Throws Error(usage) for an id outside the vocabulary.
  virtual at::Tensor embed(const at::Tensor& ids) const = 0;
  // Names of the reference's `forward` arguments that `forward` takes besides the embeddings.
  virtual std::vector<std::string> forward_names() const = 0;
  // embeddings [B, T, D] of the prompt -> `logits`, and with `labels` `loss`, which alone is given while gradients are
  // on. `tap` may be null, here and in `step`.
  virtual NamedTensors forward(const at::Tensor& embeddings, const NamedTensors& inputs, Tap* tap) const = 0;
  // embeddings [B, T, D], and perhaps `attention_mask` [B, T] -> what the decoder reads of each row
  virtual std::vector<DecoderInput> prompts(const at::Tensor& embeddings, const NamedTensors& inputs) const = 0;
  // As CausalLM::step.
  virtual at::Tensor step(const Step& step, nn::KvCache& cache, Tap* tap) const = 0;
  // See Model, and CausalLM.
  virtual int64_t idle_parameters() const { return 0; }
  virtual bool can_record_steps() const { return false; }

  virtual CausalLM::Limits limits() const = 0;
  virtual nn::CacheShape cache_shape() const = 0;
  virtual const at::Tensor& embedding() const = 0;
};

// A decoder that continues its prompt.
class DecoderOnly : public LanguageModel {
 public:
  explicit DecoderOnly(std::unique_ptr<TextDecoder> decoder) : decoder_(std::move(decoder)) {}

  at::Tensor embed(const at::Tensor& ids) const override { return decoder_->embed(ids); }
  std::vector<std::string> forward_names() const override {
    return {"attention_mask", "position_ids", "logits_to_keep", "labels"};
  }
  NamedTensors forward(const at::Tensor& embeddings, const NamedTensors& inputs, Tap* tap) const override {
    return forward_batch(*decoder_, embeddings, inputs, tap);
  }
  std::vector<DecoderInput> prompts(const at::Tensor& embeddings, const NamedTensors& inputs) const override;
  at::Tensor step(const Step& step, nn::KvCache& cache, Tap* tap) const override {
    return decoder_->step(step, cache, tap);
  }
  int64_t idle_parameters() const override { return decoder_->idle_parameters(); }
  bool can_record_steps() const override { return decoder_->can_record_steps(); }
  CausalLM::Limits limits() const override { return decoder_->limits(); }
  nn::CacheShape cache_shape() const override { return decoder_->cache_shape(); }
  const at::Tensor& embedding() const override { return decoder_->embedding(); }

 private:
  std::unique_ptr<TextDecoder> decoder_;
};

// By `model_type`: opt, llama, qwen2 (names under `weights`: model, lm_head) or t5 (shared, encoder, decoder, lm_head).
std::unique_ptr<LanguageModel> make_language_model(const WeightView& weights, const ConfigReader& config,
                                                   const std::string& default_type);

// Names that a checkpoint of that model may have in vain, wherever in it the model stands.
NameRules language_model_names(const ConfigReader& config, const std::string& default_type);

// A language model alone: `input_ids` in.
class TextModel : public CausalLM {
 public:
  explicit TextModel(std::unique_ptr<LanguageModel> language) : language_(std::move(language)) {}

  NamedTensors forward(const NamedTensors& inputs) override;
  int64_t idle_parameters() const override { return language_->idle_parameters(); }
  Limits limits() const override { return language_->limits(); }
  nn::CacheShape cache_shape() const override { return language_->cache_shape(); }
  at::ScalarType dtype() const override { return language_->embedding().scalar_type(); }
  at::Device device() const override { return language_->embedding().device(); }
  std::vector<DecoderInput> embed(const NamedTensors& inputs) override;
  at::Tensor embed_made(const at::Tensor& ids) override { return language_->embed(ids); }
  at::Tensor step(const Step& step, nn::KvCache& cache) override { return language_->step(step, cache, tap_); }
  bool can_record_steps() const override { return tap_ == nullptr && language_->can_record_steps(); }

 private:
  std::unique_ptr<LanguageModel> language_;
};

// A decoder that is a whole model.
std::unique_ptr<Model> make_decoder_model(std::unique_ptr<TextDecoder> decoder);

}  // namespace nuri
