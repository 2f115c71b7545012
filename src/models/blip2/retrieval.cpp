#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "models/blip2/config.h"
#include "models/blip2/model.h"
#include "models/parts/blip_vision.h"
#include "models/parts/inputs.h"
#include "models/parts/qformer.h"

namespace nuri {
namespace {

at::Tensor unit(const at::Tensor& x) { return x / x.norm(2, -1, true).clamp_min(1e-12); }

// The Q-Former on pictures and texts, without a language model.
class Blip2Retrieval : public Model, public MediaEncoder {
 public:
  Blip2Retrieval(const WeightView& weights, const Blip2Config& config)
      : config_(config),
        vision_(weights / "vision_model", config.vision),
        queries_(weights.get("query_tokens", {1, config.queries, config.qformer.encoder.width})),
        words_(weights / "embeddings", config.qformer),
        qformer_(weights / "qformer", weights / "qformer" / "layernorm", config.qformer, config.vision.encoder.width),
        picture_projection_(weights / "vision_projection", config.qformer.encoder.width, config.image_text_width, true),
        text_projection_(weights / "text_projection", config.qformer.encoder.width, config.image_text_width, true),
        match_(weights / "itm_head", config.qformer.encoder.width, 2, true) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    refuse_unknown_inputs(inputs, {"pixel_values", "input_ids", "attention_mask", "use_image_text_matching_head"});
    Text text = read_text(inputs);
    at::Tensor pictures = vision_.encode(vision_.pixels(inputs)).last;
    NamedTensors outputs =
        flag_input(inputs, "use_image_text_matching_head") ? match(pictures, text) : contrast(pictures, text);
    outputs["vision_model_output.last_hidden_state"] = pictures;
    return outputs;
  }

  NamedTensors picture_inputs(int64_t, int64_t) const override { return one_picture(config_.vision); }
  at::Tensor encode_pictures(const NamedTensors& pictures) override {
    return embed_pictures(vision_.encode(vision_.pixels(pictures)).last);
  }

 private:
  struct Text {
    at::Tensor ids, mask;   // [B, T], without image tokens
    at::Tensor query_mask;  // [B, Q], what the mask says of those
  };

  // Newer processors put image tokens in front, which the queries stand for.
  Text read_text(const NamedTensors& inputs) const {
    at::Tensor ids = whole_input(inputs, "input_ids", 2);
    at::Tensor mask = at::ones_like(ids);
    if (inputs.contains("attention_mask")) {
      mask = required_input(inputs, "attention_mask", 2);
      check_shape(mask, ids.sizes(), "attention_mask");
    }
    int64_t skipped = config_.image_token ? config_.queries : 0, length = ids.size(1) - skipped;
    if (length < 1)
      throw Error(ErrorKind::usage, fmt::format("input_ids: found {} tokens, expected text behind {} image tokens",
                                                ids.size(1), skipped));
    mask = mask.to(at::kBool);
    at::Tensor query_mask =
        config_.image_token ? mask.narrow(1, 0, skipped) : at::ones({ids.size(0), config_.queries}, at::kBool);
    return {ids.narrow(1, skipped, length), mask.narrow(1, skipped, length), query_mask};
  }

  at::Tensor queries_for(const at::Tensor& pictures) const { return queries_.expand({pictures.size(0), -1, -1}); }

  // Queries and text read each other and the picture: does each text fit its picture? -> logits [B, 2], no and yes
  NamedTensors match(const at::Tensor& pictures, const Text& text) const {
    if (text.ids.size(0) != pictures.size(0))
      throw Error(ErrorKind::usage, fmt::format("input_ids: found {} texts, expected {}, one for each picture",
                                                text.ids.size(0), pictures.size(0)));
    at::Tensor queries = queries_for(pictures), words = words_(text.ids, "input_ids");
    at::Tensor mask = at::cat({text.query_mask, text.mask}, 1);
    at::Tensor states = qformer_(at::cat({queries, words}, 1), config_.queries, pictures, mask);
    at::Tensor logits = match_(states.narrow(1, 0, config_.queries)).mean(1);
    return {{"logits_per_image", logits},
            {"logits_per_text", logits.t().contiguous()},
            {"text_embeds", states},
            {"image_embeds", pictures}};
  }

  // [N, P, E] -> unit vectors [N, Q, C]
  at::Tensor embed_pictures(const at::Tensor& pictures) const {
    return unit(picture_projection_(qformer_(queries_for(pictures), config_.queries, pictures)));
  }

  // Each text against each picture: the cosine with the query that fits best -> [N, B]
  NamedTensors contrast(const at::Tensor& pictures, const Text& text) const {
    at::Tensor seen = embed_pictures(pictures);
    at::Tensor states = qformer_(words_(text.ids, "input_ids"), 0, {}, text.mask);
    at::Tensor read = unit(text_projection_(states.select(1, 0)));
    at::Tensor logits = std::get<0>(at::matmul(seen, read.t()).max(1));
    return {{"logits_per_image", logits},
            {"logits_per_text", logits.t().contiguous()},
            {"text_embeds", read},
            {"image_embeds", seen},
            {"text_model_output.last_hidden_state", states}};
  }

  Blip2Config config_;
  BlipVision vision_;
  at::Tensor queries_;  // [1, Q, D]
  QFormerWords words_;
  QFormer qformer_;
  nn::Linear picture_projection_, text_projection_, match_;
};

}  // namespace

std::unique_ptr<Model> make_blip2_retrieval(const ConfigReader& config, const WeightView& weights) {
  Blip2Config c = parse_blip2_config(config);
  if (!c.qformer.reads_text)
    config.child_or_empty("qformer_config")
        .reject("use_qformer_text_input", "true in a Blip2ForImageTextRetrieval, which reads texts");
  return std::make_unique<Blip2Retrieval>(weights, c);
}

NameRules blip2_retrieval_names(const ConfigReader&) { return {{}, {"*embeddings.position_ids"}}; }

}  // namespace nuri
