#pragma once

#include "models/parts/interface.h"
#include "models/qwen2_vl/config.h"
#include "weights/stores.h"

namespace nuri {

// Qwen2VLForConditionalGeneration (Wang et al. 2024) and Qwen2_5_VLForConditionalGeneration (Bai et al. 2025): pictures
// and videos in their own resolution become tokens that stand in a grid. See MODEL.md.
std::unique_ptr<Model> make_qwen2_vl(const ConfigReader& config, const WeightView& weights);
NameRules qwen2_vl_names(const ConfigReader& config);

}  // namespace nuri
