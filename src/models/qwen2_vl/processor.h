#pragma once

#include "models/parts/processors/processor.h"

namespace nuri {

// Qwen2VLProcessor and Qwen2_5_VLProcessor: each "<|image_pad|>" and "<|video_pad|>" becomes as many of them as the
// picture or video has tokens, `mm_token_type_ids` [1, T] tells which is which, and for Qwen2.5-VL
// `second_per_grid_ts` [videos] how long a pair of frames lasts.
std::unique_ptr<Processor> make_qwen2_vl_processor(const std::filesystem::path& folder, const ConfigReader& config);

}  // namespace nuri
