#include "models/instructblip/config.h"

#include "models/parts/size_config.h"

namespace nuri {

InstructBlipConfig parse_instructblip_config(const ConfigReader& config) {
  InstructBlipConfig c{};
  c.vision = parse_blip_vision_config(config.child_or_empty("vision_config"));
  c.qformer = parse_qformer_config(config.child_or_empty("qformer_config"), /*always_reads_text=*/true);
  c.queries = read_size(config, "num_query_tokens", 32, kMostQueries);
  c.image_token = read_image_token(config);
  return c;
}

}  // namespace nuri
