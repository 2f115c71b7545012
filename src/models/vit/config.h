#pragma once

#include "models/parts/vision/vision_config.h"

namespace nuri {

// ViT and DINOv2: sizes, and what stands behind the stack.
struct VitConfig : PictureSizes {
  enum class Kind { vit, dinov2 } kind;
  EncoderConfig encoder;
  bool qkv_bias;
  bool gated_mlp = false;  // DINOv2 giant
  bool mask_token = false;
  int64_t labels = 0;  // of the classification head; 0: there is none
  // ViT without a classification head may have a layer on the class token.
  int64_t pooled_width = 0;
  std::string pooler_activation;
};

// Which of the two `model_type` says; a classifier when the architecture ends in ForImageClassification.
VitConfig parse_vit_config(const ConfigReader& config);

}  // namespace nuri
