#pragma once

#include "models/parts/vision/vision_config.h"
#include "models/parts/vision/vision_tower.h"

namespace nuri {

// Token and position embeddings, the stack, a closing norm: the text side of CLIP (Radford et al. 2021) and SigLIP.
// Weight names are those of CLIPTextModel and SiglipTextModel.
class TextTower {
 public:
  TextTower(const WeightView& weights, const TextTowerConfig& config);

  // ids [B, T], mask [B, T] or undefined -> [B, T, D]. Throws Error(usage) for more tokens than there are positions.
  at::Tensor operator()(const at::Tensor& ids, const at::Tensor& mask, bool causal) const;

  const TextTowerConfig& config() const { return config_; }
  const at::Tensor& embedding() const { return tokens_.weight(); }

 private:
  TextTowerConfig config_;
  nn::Embedding tokens_;
  nn::Table positions_;
  EncoderStack encoder_;
  nn::LayerNorm norm_;
};

}  // namespace nuri
