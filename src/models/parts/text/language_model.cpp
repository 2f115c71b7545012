#include "models/parts/text/language_model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "models/parts/inputs.h"
#include "models/parts/text/llama_decoder.h"
#include "models/parts/text/opt_decoder.h"
#include "models/parts/text/t5.h"

namespace nuri {
namespace {

constexpr int64_t kIgnoredLabel = -100;

class EncoderDecoder : public LanguageModel {
 public:
  EncoderDecoder(const WeightView& weights, const T5Config& config) : model_(weights, config) {}

  at::Tensor embed(const at::Tensor& ids) const override { return model_.embed(ids); }
  std::vector<std::string> forward_names() const override {
    return {"attention_mask", "decoder_input_ids", "decoder_attention_mask", "labels"};
  }
  NamedTensors forward(const at::Tensor& embeddings, const NamedTensors& inputs, Tap*) const override;
  std::vector<DecoderInput> prompts(const at::Tensor& embeddings, const NamedTensors& inputs) const override;
  at::Tensor step(const Step& step, nn::KvCache& cache, Tap*) const override;

  CausalLM::Limits limits() const override {
    return {model_.config().vocabulary, model_.config().context, model_.config().width};
  }
  nn::CacheShape cache_shape() const override {
    return {model_.config().decoder_layers, model_.config().heads, model_.config().head_dim};
  }
  const at::Tensor& embedding() const override { return model_.embedding(); }

 private:
  int64_t start_token() const;
  at::Tensor shifted(const at::Tensor& labels) const;
  at::Tensor decoder_ids(const NamedTensors& inputs, const at::Tensor& labels) const;

  T5 model_;
};

// An optional [batch, length], of 0 and 1.
at::Tensor mask_of(const NamedTensors& inputs, const char* name, int64_t batch, int64_t length) {
  if (!inputs.contains(name)) return {};
  at::Tensor mask = required_input(inputs, name, 2).to(at::kBool);
  check_shape(mask, {batch, length}, name);
  return mask;
}

void check_rows(const at::Tensor& ids, int64_t batch, const char* name) {
  if (ids.size(0) != batch)
    throw Error(ErrorKind::usage,
                fmt::format("{}: found {} rows, expected {}, as many as the prompt has", name, ids.size(0), batch));
}

int64_t EncoderDecoder::start_token() const {
  if (!model_.config().start_token)
    throw Error(ErrorKind::unsupported,
                "config.json: decoder_start_token_id: found nothing, expected the id with which an answer begins");
  return *model_.config().start_token;
}

// The start token and all labels but the last; those that are ignored become padding.
at::Tensor EncoderDecoder::shifted(const at::Tensor& labels) const {
  if (!model_.config().pad_token)
    throw Error(ErrorKind::unsupported, "config.json: pad_token_id: found nothing, expected the id of padding");
  at::Tensor first = at::full({labels.size(0), 1}, start_token(), labels.options());
  at::Tensor ids = at::cat({first, labels.narrow(1, 0, labels.size(1) - 1)}, 1);
  return ids.masked_fill(ids == kIgnoredLabel, *model_.config().pad_token);
}

at::Tensor EncoderDecoder::decoder_ids(const NamedTensors& inputs, const at::Tensor& labels) const {
  if (inputs.contains("decoder_input_ids")) return whole_input(inputs, "decoder_input_ids", 2);
  if (!labels.defined())
    throw Error(ErrorKind::usage, "found neither decoder_input_ids nor labels, of which an encoder-decoder needs one");
  return shifted(labels);
}

NamedTensors EncoderDecoder::forward(const at::Tensor& embeddings, const NamedTensors& inputs, Tap*) const {
  int64_t batch = embeddings.size(0);
  at::Tensor mask = mask_of(inputs, "attention_mask", batch, embeddings.size(1)), labels;
  if (inputs.contains("labels")) labels = whole_input(inputs, "labels", 2);
  at::Tensor ids = decoder_ids(inputs, labels);
  check_rows(ids, batch, "decoder_input_ids");
  int64_t length = ids.size(1);
  at::Tensor states = model_.encode(embeddings, mask);
  nn::DenseCausalAttention context(batch, length, mask_of(inputs, "decoder_attention_mask", batch, length), {},
                                   embedding().scalar_type());
  nn::DenseCrossAttention memory(model_.memories(states), mask);
  at::Tensor words = model_.embed(ids.to(embeddings.device()));
  at::Tensor logits = model_.logits(model_.decode(words.flatten(0, 1), context, memory)).unflatten(0, {batch, length});
  NamedTensors outputs{{"logits", logits}, {"encoder_last_hidden_state", states}};
  if (!labels.defined()) return outputs;
  check_shape(labels, {batch, length}, "labels");
  check_ids(labels.masked_fill(labels == kIgnoredLabel, 0), limits().vocabulary, "labels");
  at::Tensor loss = at::cross_entropy_loss(logits.flatten(0, 1).to(at::kFloat),
                                           labels.flatten().to(logits.device()));  // leaves -100 out
  if (at::GradMode::is_enabled()) return {{"loss", loss}};
  outputs["loss"] = loss;
  return outputs;
}

std::vector<DecoderInput> EncoderDecoder::prompts(const at::Tensor& embeddings, const NamedTensors& inputs) const {
  int64_t batch = embeddings.size(0);
  at::Tensor mask = mask_of(inputs, "attention_mask", batch, embeddings.size(1));
  if (mask.defined() && !mask.any(1).all().item<bool>())
    throw Error(ErrorKind::usage, "attention_mask: found a row of padding alone, expected at least one token");
  std::vector<nn::CrossMemory> memories = model_.memories(model_.encode(embeddings, mask));
  at::Tensor ids = at::full({1}, start_token(), at::kLong), words = model_.embed(ids.to(embeddings.device()));
  std::vector<DecoderInput> prompts(batch);
  for (int64_t row = 0; row < batch; ++row) {
    prompts[row].embeddings = words;
    prompts[row].slots = std::make_shared<NamedTensors>(nn::cross_slots(memories, row, mask));
    prompts[row].ids = ids;
  }
  return prompts;
}

at::Tensor EncoderDecoder::step(const Step& step, nn::KvCache& cache, Tap*) const {
  nn::PagedCausalAttention context(cache, step.sequences);
  nn::SlotCrossAttention memory(step.sequences);
  at::Tensor rows = at::tensor(step.logit_rows, at::kLong).to(step.embeddings.device());
  at::Tensor hidden = model_.decode(step.embeddings, context, memory, rows);
  context.finish();
  return model_.logits(hidden);
}

std::string type_of(const ConfigReader& config, const std::string& default_type) {
  std::string type = config.optional<std::string>("model_type", default_type);
  if (type != "opt" && type != "t5" && type != "llama" && type != "qwen2")
    config.reject("model_type", "opt, t5, llama or qwen2");
  return type;
}

}  // namespace

std::vector<DecoderInput> DecoderOnly::prompts(const at::Tensor& embeddings, const NamedTensors& inputs) const {
  return split_batch(inputs, embeddings);
}

std::unique_ptr<LanguageModel> make_language_model(const WeightView& weights, const ConfigReader& config,
                                                   const std::string& default_type) {
  std::string type = type_of(config, default_type);
  if (type == "t5") return std::make_unique<EncoderDecoder>(weights, parse_t5_config(config));
  if (type == "opt")
    return std::make_unique<DecoderOnly>(std::make_unique<OptDecoder>(weights, parse_opt_config(config)));
  return std::make_unique<DecoderOnly>(std::make_unique<LlamaDecoder>(weights, parse_text_config(config, type)));
}

NameRules language_model_names(const ConfigReader& config, const std::string& default_type) {
  std::string type = type_of(config, default_type);
  NameRules rules;
  if (type == "t5") {
    // A bias that the first release stored and never used.
    rules.ignored = {"*EncDecAttention.relative_attention_bias.weight"};
  } else if (type != "opt") {
    rules.ignored = {"*rotary_emb.inv_freq"};
  }
  return rules;
}

NamedTensors TextModel::forward(const NamedTensors& inputs) {
  std::vector<std::string> known = language_->forward_names();
  known.push_back("input_ids");
  refuse_unknown_inputs(inputs, known);
  return language_->forward(language_->embed(whole_input(inputs, "input_ids", 2).to(device())), inputs, tap_);
}

std::vector<DecoderInput> TextModel::embed(const NamedTensors& inputs) {
  refuse_unknown_inputs(inputs, {"input_ids", "attention_mask"});
  return language_->prompts(language_->embed(whole_input(inputs, "input_ids", 2).to(device())), inputs);
}

std::unique_ptr<Model> make_decoder_model(std::unique_ptr<TextDecoder> decoder) {
  return std::make_unique<TextModel>(std::make_unique<DecoderOnly>(std::move(decoder)));
}

}  // namespace nuri
