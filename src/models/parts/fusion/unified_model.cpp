#include "models/parts/fusion/unified_model.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/parts/fusion/unified_fusion.h"
#include "models/parts/inputs.h"

namespace nuri {

NamedTensors UnifiedModel::forward(const NamedTensors& inputs) {
  std::vector<std::string> known{"input_ids", "attention_mask", "position_ids", "logits_to_keep", "labels"};
  for (auto& name : reader_->inputs()) known.push_back(std::move(name));
  refuse_unknown_inputs(inputs, known);
  at::Tensor features;
  if (inputs.contains("pixel_values")) features = reader_->arrange(reader_->encode(tiles(inputs)), inputs);
  at::Tensor embeddings = fuse(whole_input(inputs, "input_ids", 2).to(device()), features);
  NamedTensors outputs = forward_batch(decoder_, embeddings, inputs, tap_);
  if (features.defined()) outputs["image_hidden_states"] = features;
  return outputs;
}

std::vector<DecoderInput> UnifiedModel::embed(const NamedTensors& inputs) {
  std::vector<std::string> known{"input_ids", "attention_mask"};
  for (auto& name : reader_->inputs()) known.push_back(std::move(name));
  refuse_unknown_inputs(inputs, known);
  at::Tensor features;
  if (inputs.contains("pixel_values")) {
    auto encode = [&](const at::Tensor& missing) { return reader_->encode(missing); };
    features = reader_->arrange(seen_.of_tiles(tiles(inputs), encode), inputs);
  }
  return split_batch(inputs, fuse(whole_input(inputs, "input_ids", 2).to(device()), features));
}

at::Tensor UnifiedModel::encode_pictures(const NamedTensors& pictures) {
  at::Tensor features = reader_->arrange(reader_->encode(tiles(pictures)), pictures);
  return features.reshape({-1, features.size(-1)});
}

at::Tensor UnifiedModel::fuse(const at::Tensor& ids, const at::Tensor& features) const {
  if (!features.defined()) return put_features(decoder_.embed(ids), ids == image_token_, {});
  if (image_token_ < 0)
    throw Error(ErrorKind::usage,
                "found a picture, but neither the configuration nor the tokenizer files beside it "
                "name the image token, expected one of them to");
  return put_features(decoder_.embed(ids), ids == image_token_, features.reshape({-1, features.size(-1)}));
}

}  // namespace nuri
