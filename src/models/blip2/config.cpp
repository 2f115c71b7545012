#include "models/blip2/config.h"

#include "models/parts/size_config.h"

namespace nuri {

Blip2Config parse_blip2_config(const ConfigReader& config) {
  Blip2Config c{};
  c.vision = parse_blip_vision_config(config.child_or_empty("vision_config"));
  c.qformer = parse_qformer_config(config.child_or_empty("qformer_config"), /*always_reads_text=*/false);
  c.queries = read_size(config, "num_query_tokens", 32, kMostQueries);
  c.image_text_width = read_size(config, "image_text_hidden_size", 256);
  c.image_token = read_image_token(config);
  return c;
}

}  // namespace nuri
