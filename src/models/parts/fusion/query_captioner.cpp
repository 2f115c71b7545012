#include "models/parts/fusion/query_captioner.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/parts/fusion/unified_fusion.h"
#include "models/parts/inputs.h"

namespace nuri {

QueryCaptioner::QueryCaptioner(const WeightView& weights, const QueryCaptionerConfig& config, const ConfigReader& text)
    : config_(config),
      vision_(weights / "vision_model", config.vision),
      queries_(weights.get("query_tokens", {1, config.queries, config.query_width})),
      language_(make_language_model(weights / "language_model", text, "opt")),
      projection_(weights / "language_projection", config.query_width, language_->limits().width, true) {}

std::vector<std::string> QueryCaptioner::names(std::vector<std::string> others) const {
  for (const auto& name : query_names()) others.push_back(name);
  for (const char* name : {"input_ids", "pixel_values", "interpolate_pos_encoding"}) others.push_back(name);
  return others;
}

// pictures [B, P, E] -> [B, Q or more, D]
at::Tensor QueryCaptioner::drawn(const at::Tensor& pictures, const NamedTensors& inputs) const {
  return draw(queries_.expand({pictures.size(0), -1, -1}), pictures, inputs);
}

// [B, Q or more, D] -> [B * Q, W], of which nothing but the queries
at::Tensor QueryCaptioner::words_of(const at::Tensor& drawn) const {
  return projection_(drawn.narrow(1, 0, config_.queries)).flatten(0, 1);
}

// ids [B, T] -> [B, T, W]
at::Tensor QueryCaptioner::fuse(const at::Tensor& ids, const at::Tensor& words) const {
  at::Tensor embeddings = language_->embed(ids);
  if (config_.image_token) return put_features(embeddings, ids == *config_.image_token, words);
  if (!words.defined()) return embeddings;
  throw Error(ErrorKind::unsupported,
              "config.json: image_token_index: found nothing, expected the id of the prompt's image tokens, which the "
              "picture's queries replace");
}

NamedTensors QueryCaptioner::forward(const NamedTensors& inputs) {
  refuse_unknown_inputs(inputs, names(language_->forward_names()));
  at::Tensor ids = whole_input(inputs, "input_ids", 2).to(device());
  NamedTensors outputs;
  at::Tensor words;
  if (inputs.contains("pixel_values")) {
    VisionOutput seen = vision_.encode(vision_.pixels(inputs));
    at::Tensor queries = drawn(seen.last, inputs);
    words = words_of(queries);
    outputs = {{"vision_outputs.last_hidden_state", seen.last},
               {"vision_outputs.pooler_output", seen.pooled},
               {"qformer_outputs.last_hidden_state", queries}};
  }
  for (auto& [name, tensor] : language_->forward(fuse(ids, words), inputs, tap_))
    outputs[name == "encoder_last_hidden_state" ? "language_model_outputs." + name : name] = tensor;
  return outputs;
}

std::vector<DecoderInput> QueryCaptioner::embed(const NamedTensors& inputs) {
  refuse_unknown_inputs(inputs, names({"attention_mask"}));
  at::Tensor words;
  if (inputs.contains("pixel_values")) {
    std::vector<at::Tensor> pixels = vision_.pixels(inputs).split(1);
    auto seen = seen_(pixels, [&](const std::vector<size_t>& missing) {
      std::vector<at::Tensor> chosen;
      for (size_t i : missing) chosen.push_back(pixels[i]);
      return vision_.encode(at::cat(chosen)).last.split(1);
    });
    words = words_of(drawn(at::cat(seen), inputs));
  }
  return language_->prompts(fuse(whole_input(inputs, "input_ids", 2).to(device()), words), inputs);
}

at::Tensor QueryCaptioner::encode_pictures(const NamedTensors& pictures) {
  return words_of(drawn(vision_.encode(vision_.pixels(pictures)).last, pictures));
}

}  // namespace nuri
