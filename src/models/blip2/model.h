#pragma once

#include "base/config_reader.h"
#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

// BLIP-2 (Li et al. 2023): Blip2ForConditionalGeneration, which tells of a picture, and Blip2ForImageTextRetrieval,
// which says how well a text fits it. See MODEL.md.
std::unique_ptr<Model> make_blip2(const ConfigReader& config, const WeightView& weights);
NameRules blip2_names(const ConfigReader& config);
std::unique_ptr<Model> make_blip2_retrieval(const ConfigReader& config, const WeightView& weights);
NameRules blip2_retrieval_names(const ConfigReader& config);

}  // namespace nuri
