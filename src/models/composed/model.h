#pragma once

#include "models/parts/interface.h"
#include "weights/stores.h"

namespace nuri {

class ConfigReader;

// A composition of parts that its configuration names: encoder, connector, fusion, decoder, resolution. See MODEL.md.
std::unique_ptr<Model> make_composed(const ConfigReader& config, const WeightView& weights);
NameRules composed_names(const ConfigReader& config);

}  // namespace nuri
