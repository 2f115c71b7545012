#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "models/blip2/config.h"
#include "models/blip2/model.h"
#include "models/parts/connectors/query_reader.h"
#include "models/parts/inputs.h"
#include "models/parts/vision/blip_vision.h"

namespace nuri {
namespace {

// The Q-Former on pictures and texts, without a language model.
class Blip2Retrieval : public Model, public MediaEncoder {
 public:
  Blip2Retrieval(const WeightView& weights, const Blip2Config& config)
      : config_(config),
        vision_(weights / "vision_model", config.vision),
        reader_(weights, weights,
                {config.qformer, config.queries, config.vision.encoder.width, config.image_text_width}) {}

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
    return reader_.embed_pictures(vision_.encode(vision_.pixels(pictures)).last);
  }

 private:
  struct Text {
    QueryReader::Text words;  // without image tokens
    at::Tensor query_mask;    // [B, Q], what the mask says of those
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
    return {{ids.narrow(1, skipped, length), mask.narrow(1, skipped, length)}, query_mask};
  }

  NamedTensors match(const at::Tensor& pictures, const Text& text) const {
    at::Tensor states = reader_.read_together(pictures, text.words, text.query_mask);
    at::Tensor logits = reader_.match(states);
    return {{"logits_per_image", logits},
            {"logits_per_text", logits.t().contiguous()},
            {"text_embeds", states},
            {"image_embeds", pictures}};
  }

  NamedTensors contrast(const at::Tensor& pictures, const Text& text) const {
    at::Tensor seen = reader_.embed_pictures(pictures);
    QueryReader::Read read = reader_.read(text.words);
    at::Tensor logits = QueryReader::contrast(seen, read.vectors);
    return {{"logits_per_image", logits},
            {"logits_per_text", logits.t().contiguous()},
            {"text_embeds", read.vectors},
            {"image_embeds", seen},
            {"text_model_output.last_hidden_state", read.states}};
  }

  Blip2Config config_;
  BlipVision vision_;
  QueryReader reader_;
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
