#include "models/mixtral/config.h"

#include "models/parts/size_config.h"

namespace nuri {

MixtralConfig parse_mixtral_config(const ConfigReader& config) {
  LlamaDecoderConfig defaults{};
  defaults.vocabulary = 32000, defaults.width = 4096, defaults.hidden = 14336, defaults.layers = 32;
  defaults.heads = 32, defaults.kv_heads = 8, defaults.context = 131072, defaults.epsilon = 1e-5;
  defaults.rope.theta = 1e6;
  MixtralConfig c{parse_decoder_config(config, defaults), 0, 0};
  // No window where the file is silent.
  if (config.has("sliding_window")) c.decoder.windows.assign(c.decoder.layers, read_size(config, "sliding_window", 0));
  const char* count = config.has("num_experts") ? "num_experts" : "num_local_experts";
  c.experts = read_size(config, count, 8, kMostExperts);
  c.chosen = read_size(config, "num_experts_per_tok", 2);
  if (c.chosen > c.experts) config.reject("num_experts_per_tok", fmt::format("at most {} {}", count, c.experts));
  return c;
}

}  // namespace nuri
