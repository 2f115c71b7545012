#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/config_reader.h"

namespace nuri {

// Sizes of one stack of pre-norm transformer layers with biases, as CLIP and SigLIP use it for both towers.
struct EncoderConfig {
  int64_t width, hidden, layers, heads;
  double epsilon;
  std::string activation;
};

// Square pictures, cut into square patches; what is left at the edges is not seen.
struct PictureSizes {
  int64_t channels, image_size, patch_size;
  int64_t patches() const { return (image_size / patch_size) * (image_size / patch_size); }
};

struct VisionConfig : PictureSizes {
  enum class Kind { clip, siglip } kind;
  EncoderConfig encoder;
  int64_t projection = 0;      // CLIP: width of the common space
  bool pooling_head = true;    // SigLIP: attention pooling at the end
  int64_t naflex_patches = 0;  // SigLIP 2: learned positions, a square grid of them; there image_size means nothing
  // Hidden states a picture has: CLIP puts a class token in front.
  int64_t tokens() const { return patches() + (kind == Kind::clip ? 1 : 0); }
};

// The hidden states of an encoder that a connector reads: `vision_feature_layer`, `vision_feature_select_strategy`.
struct FeatureChoice {
  std::vector<int64_t> layers;  // whose features are joined, as indices from 0 (the embeddings) to the encoder's layers
  bool drop_first;              // the strategy "default": without the first row, CLIP's class token
};
FeatureChoice read_feature_choice(const ConfigReader& config, int64_t layers, int64_t default_layer);

// The encoder of BLIP-2 and InstructBLIP.
struct BlipVisionConfig : PictureSizes {
  EncoderConfig encoder;
  bool qkv_bias;
  int64_t tokens() const { return 1 + patches(); }
};

struct TextTowerConfig {
  EncoderConfig encoder;
  int64_t vocabulary, context;
  int64_t projection;           // SigLIP: width of the head's output
  int64_t end_of_text = 49407;  // CLIP
};

// What the reference's configuration class assumes where a file is silent.
struct EncoderDefaults {
  int64_t width, hidden, layers, heads;
  double epsilon;
  const char* activation;
};
EncoderConfig read_encoder(const ConfigReader& config, const EncoderDefaults& defaults);
// `image_size` and `patch_size`, each a number or a list of two equal ones.
PictureSizes read_picture_sizes(const ConfigReader& config, int64_t default_patch, int64_t default_image = 224);

VisionConfig parse_clip_vision_config(const ConfigReader& config);
VisionConfig parse_siglip_vision_config(const ConfigReader& config);
VisionConfig parse_siglip2_vision_config(const ConfigReader& config);
// With the defaults of transformers' Blip2VisionConfig: EVA-CLIP's ViT-g.
BlipVisionConfig parse_blip_vision_config(const ConfigReader& config);
// By `model_type`: clip_vision_model or siglip_vision_model.
VisionConfig parse_vision_config(const ConfigReader& config, const std::string& default_type);

TextTowerConfig parse_clip_text_config(const ConfigReader& config);
TextTowerConfig parse_siglip_text_config(const ConfigReader& config);

}  // namespace nuri
