#include "models/blip2/processor.h"

#include "models/blip2/config.h"
#include "models/parts/processors/query_processor.h"

namespace nuri {

std::unique_ptr<Processor> make_blip2_processor(const std::filesystem::path& folder, const ConfigReader& config) {
  return std::make_unique<QueryProcessor>(folder, parse_blip2_config(config).image_token);
}

}  // namespace nuri
