#include "models/composed/retrieval.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/parts/inputs.h"

namespace nuri {
namespace {

QueryReader::Text read_text(const NamedTensors& inputs) {
  at::Tensor ids = whole_input(inputs, "input_ids", 2);
  if (ids.size(1) < 1) throw Error(ErrorKind::usage, "input_ids: found no token, expected at least one");
  if (!inputs.contains("attention_mask")) return {ids, at::ones(ids.sizes(), at::kBool)};
  at::Tensor mask = required_input(inputs, "attention_mask", 2);
  check_shape(mask, ids.sizes(), "attention_mask");
  return {ids, mask.to(at::kBool)};
}

NamedTensors both_ways(const at::Tensor& logits) {
  return {{"logits_per_image", logits}, {"logits_per_text", logits.t().contiguous()}};
}

}  // namespace

ComposedRetrieval::ComposedRetrieval(const WeightView& weights, const ComposedRetrievalConfig& config)
    : config_(config),
      vision_(make_vision_tower(weights / "vision_tower", config.vision)),
      reader_(weights, weights / "connector",
              {config.connector.q_former, config.connector.queries, config.connector.in, config.image_text_width}),
      transform_(weights / "cls" / "predictions" / "transform" / "dense", config.connector.q_former.encoder.width,
                 config.connector.q_former.encoder.width, true),
      transform_norm_(weights / "cls" / "predictions" / "transform" / "LayerNorm",
                      config.connector.q_former.encoder.width, config.connector.q_former.encoder.epsilon),
      activation_(activation_named(config.connector.q_former.encoder.activation, "hidden_act")),
      bias_((weights / "cls" / "predictions").get("bias", {config.connector.q_former.vocabulary}, Init::constant(0))) {}

at::Tensor ComposedRetrieval::look(const at::Tensor& pixels) const {
  return chosen_features(*vision_, config_.features(), pixels.to(reader_.word_weights().options()));
}

at::Tensor ComposedRetrieval::tell(const at::Tensor& pictures, const QueryReader::Text& text) const {
  at::Tensor states = transform_norm_(transform_.activated(reader_.read_on(pictures, text), activation_));
  return ops::linear(states, reader_.word_weights(), bias_);
}

NamedTensors ComposedRetrieval::forward(const NamedTensors& inputs) {
  refuse_unknown_inputs(inputs, {"pixel_values", "input_ids", "attention_mask", "use_image_text_matching_head",
                                 "use_grounded_text_head"});
  bool matches = flag_input(inputs, "use_image_text_matching_head"),
       tells = flag_input(inputs, "use_grounded_text_head");
  if (matches && tells)
    throw Error(ErrorKind::usage, "use_grounded_text_head: found beside use_image_text_matching_head, expected one");
  QueryReader::Text text = read_text(inputs);
  at::Tensor pictures = look(pixel_values(inputs, config_.vision, reader_.word_weights()));
  if (tells) return {{"logits", tell(pictures, text)}};
  if (matches) return both_ways(reader_.match(reader_.read_together(pictures, text)));
  at::Tensor seen = reader_.embed_pictures(pictures), read = reader_.read(text).vectors;
  NamedTensors outputs = both_ways(QueryReader::contrast(seen, read));
  outputs["image_embeds"] = seen, outputs["text_embeds"] = read;
  return outputs;
}

NamedTensors ComposedRetrieval::picture_inputs(int64_t, int64_t) const { return one_picture(config_.vision); }

at::Tensor ComposedRetrieval::encode_pictures(const NamedTensors& pictures) {
  return reader_.embed_pictures(look(pixel_values(pictures, config_.vision, reader_.word_weights())));
}

std::unique_ptr<Model> make_composed_retrieval(const ConfigReader& config, const WeightView& weights) {
  return std::make_unique<ComposedRetrieval>(weights, parse_composed_retrieval_config(config));
}

NameRules composed_retrieval_names(const ConfigReader&) { return {{}, {"*embeddings.position_ids"}}; }

}  // namespace nuri
