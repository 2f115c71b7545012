#pragma once

#include "models/composed/config.h"
#include "models/parts/connectors/query_reader.h"
#include "models/parts/vision/vision_tower.h"
#include "weights/stores.h"

namespace nuri {

// A composition's Q-Former before it has a decoder, in BLIP-2's first stage (Li et al. 2023, section 3.2): texts are
// compared with pictures (contrast), judged (match) and told (grounded text). See MODEL.md.
class ComposedRetrieval : public Model, public MediaEncoder {
 public:
  ComposedRetrieval(const WeightView& weights, const ComposedRetrievalConfig& config);

  // `pixel_values`, `input_ids`, perhaps `attention_mask`: `logits_per_image` [N, B], the cosines of N pictures and B
  // texts; with `use_image_text_matching_head`, of one text for each picture, the logits of no and yes [N, 2]; with
  // `use_grounded_text_head`, `logits` [N, L, V] of the token behind each.
  NamedTensors forward(const NamedTensors& inputs) override;
  NamedTensors picture_inputs(int64_t width, int64_t height) const override;
  at::Tensor encode_pictures(const NamedTensors& pictures) override;

  const QueryReader& reader() const { return reader_; }
  // pixels [N, C, S, S], of any floating type -> what the reader looks at, [N, P, E]
  at::Tensor look(const at::Tensor& pixels) const;
  // Logits of the token behind each of a text, from the picture and what stands before: [N, L, V]
  at::Tensor tell(const at::Tensor& pictures, const QueryReader::Text& text) const;

 private:
  ComposedRetrievalConfig config_;
  std::unique_ptr<VisionTower> vision_;
  QueryReader reader_;
  nn::Linear transform_;  // the head of BERT's language model; the words' own vectors follow it
  nn::LayerNorm transform_norm_;
  ops::Activation activation_;
  at::Tensor bias_;  // [V]
};

std::unique_ptr<Model> make_composed_retrieval(const ConfigReader& config, const WeightView& weights);
NameRules composed_retrieval_names(const ConfigReader& config);

}  // namespace nuri
