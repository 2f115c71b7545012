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

struct VisionConfig {
  enum class Kind { clip, siglip } kind;
  EncoderConfig encoder;
  int64_t channels, image_size, patch_size;
  int64_t projection = 0;    // CLIP: width of the common space
  bool pooling_head = true;  // SigLIP: attention pooling at the end
  int64_t patches() const { return (image_size / patch_size) * (image_size / patch_size); }
  std::vector<int64_t> picture_shape() const { return {channels, image_size, image_size}; }
  // Hidden states a picture has: CLIP puts a class token in front.
  int64_t tokens() const { return patches() + (kind == Kind::clip ? 1 : 0); }
};

struct TextTowerConfig {
  EncoderConfig encoder;
  int64_t vocabulary, context;
  int64_t projection;           // SigLIP: width of the head's output
  int64_t end_of_text = 49407;  // CLIP
};

VisionConfig parse_clip_vision_config(const ConfigReader& config);
VisionConfig parse_siglip_vision_config(const ConfigReader& config);
// By `model_type`: clip_vision_model or siglip_vision_model.
VisionConfig parse_vision_config(const ConfigReader& config, const std::string& default_type);

TextTowerConfig parse_clip_text_config(const ConfigReader& config);
TextTowerConfig parse_siglip_text_config(const ConfigReader& config);

}  // namespace nuri
