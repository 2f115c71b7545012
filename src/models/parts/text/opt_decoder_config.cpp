#include "models/parts/text/opt_decoder_config.h"

#include <fmt/format.h>

#include "models/parts/size_config.h"

namespace nuri {

OptDecoderConfig parse_opt_config(const ConfigReader& config) {
  OptDecoderConfig c{};
  c.vocabulary = read_size(config, "vocab_size", 50272);
  c.width = read_size(config, "hidden_size", 768);
  c.hidden = read_size(config, "ffn_dim", 3072);
  c.layers = read_size(config, "num_hidden_layers", 12, kMostLayers);
  c.heads = read_size(config, "num_attention_heads", 12);
  if (c.width % c.heads != 0) config.reject("num_attention_heads", fmt::format("a divisor of hidden_size {}", c.width));
  c.context = read_size(config, "max_position_embeddings", 2048);
  c.word_width = read_size(config, "word_embed_proj_dim", c.width);
  c.activation = read_activation(config, "activation_function", "relu");
  c.norm_first = config.optional("do_layer_norm_before", true);
  c.final_norm = c.norm_first && !config.maybe<bool>("_remove_final_layer_norm").value_or(false);
  c.bias = config.optional("enable_bias", true);
  c.learned_norm = config.optional("layer_norm_elementwise_affine", true);
  c.tied_embeddings = config.optional("tie_word_embeddings", true);
  c.deviation = config.optional("init_std", 0.02);
  return c;
}

}  // namespace nuri
