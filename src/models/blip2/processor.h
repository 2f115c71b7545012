#pragma once

#include "models/parts/processors/processor.h"

namespace nuri {

// Blip2Processor: see QueryProcessor.
std::unique_ptr<Processor> make_blip2_processor(const std::filesystem::path& folder, const ConfigReader& config);

}  // namespace nuri
