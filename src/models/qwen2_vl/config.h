#pragma once

#include <vector>

#include "models/parts/text/llama_decoder_config.h"

namespace nuri {

// The picture encoder of Qwen2-VL or Qwen2.5-VL.
struct QwenVisionConfig {
  enum class Kind { qwen2, qwen2_5 } kind;
  int64_t layers, width, hidden, heads, channels;
  int64_t patch, temporal_patch;  // pixels on a side, frames
  int64_t merge;                  // patches on a side that become one token
  int64_t out_width;              // the decoder's
  std::string activation;
  double theta;  // of the rotary positions
  // Qwen2.5-VL: layers look inside windows of so many pixels on a side, those marked at the whole frame.
  int64_t window = 0;
  std::vector<bool> full_attention;
  int64_t tokens_per_second = 0;  // positions in time a second of a video spans; 0: one for each pair of frames

  int64_t head_dim() const { return width / heads; }
  int64_t patch_values() const { return channels * temporal_patch * patch * patch; }
  int64_t window_units() const { return window / merge / patch; }  // tokens on a side of a window
};

// config.json of Qwen2VLForConditionalGeneration and Qwen2_5_VLForConditionalGeneration, with the defaults of
// transformers' Qwen2VLConfig and Qwen2_5_VLConfig.
struct Qwen2VlConfig {
  QwenVisionConfig vision;
  LlamaDecoderConfig text;
  int64_t image_token, video_token;
};

Qwen2VlConfig parse_qwen2_vl_config(const ConfigReader& config);

}  // namespace nuri
