#include "models/parts/connectors/qformer_config.h"

#include "models/parts/size_config.h"

namespace nuri {

QFormerConfig parse_qformer_config(const ConfigReader& config, bool always_reads_text) {
  QFormerConfig c{};
  c.encoder = read_encoder(config, {768, 3072, 12, 12, 1e-12, "gelu"});
  c.vocabulary = read_size(config, "vocab_size", 30522);
  c.context = read_size(config, "max_position_embeddings", 512);
  c.cross_attention_frequency = read_size(config, "cross_attention_frequency", 2);
  c.reads_text = always_reads_text || config.optional("use_qformer_text_input", false);
  return c;
}

std::optional<int64_t> read_image_token(const ConfigReader& config) {
  const char* key = config.has("image_token_id") ? "image_token_id" : "image_token_index";
  auto token = config.maybe<int64_t>(key);
  if (token && *token < 0) config.reject(key, "an id of at least 0");
  return token;
}

}  // namespace nuri
