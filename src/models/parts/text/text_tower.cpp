#include "models/parts/text/text_tower.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "models/parts/inputs.h"

namespace nuri {

TextTower::TextTower(const WeightView& weights, const TextTowerConfig& config)
    : config_(config),
      tokens_(weights / "embeddings" / "token_embedding", config.vocabulary, config.encoder.width),
      positions_(weights / "embeddings" / "position_embedding", config.context, config.encoder.width),
      encoder_(weights / "encoder", config.encoder),
      norm_(weights / "final_layer_norm", config.encoder.width, config.encoder.epsilon) {}

at::Tensor TextTower::operator()(const at::Tensor& ids, const at::Tensor& mask, bool causal) const {
  int64_t length = ids.size(1);
  if (length > config_.context)
    throw Error(ErrorKind::usage,
                fmt::format("input_ids: found {} tokens, expected at most {}", length, config_.context));
  check_ids(ids, config_.vocabulary);
  const at::Tensor positions = positions_.weight().narrow(0, 0, length);
  at::Tensor x = tokens_(ids).to(positions.scalar_type()) + positions;
  at::Tensor allowed;
  if (mask.defined()) {
    check_shape(mask, {ids.size(0), length}, "attention_mask");
    allowed = mask.to(at::kBool).view({ids.size(0), 1, 1, length}).expand({-1, 1, length, -1});
    if (causal) allowed = allowed & at::ones({length, length}, at::kBool).tril();
  }
  return norm_(encoder_.forward(x, encoder_.depth(), causal, allowed));
}

}  // namespace nuri
