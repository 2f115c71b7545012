#include "models/parts/text/t5_config.h"

#include <fmt/format.h>

#include "models/parts/size_config.h"

namespace nuri {
namespace {

constexpr int64_t kFarthest = 1 << 16;  // a table of so many columns is made for every step

// "relu", "gated-gelu": what newer files say besides in fields of their own.
void read_feed_forward(const ConfigReader& config, T5Config& c) {
  constexpr const char* kKey = "feed_forward_proj";
  std::string name = config.optional<std::string>(kKey, "relu");
  size_t dash = name.find('-');
  bool gated = name.starts_with("gated-");
  if (name.find('-', dash == std::string::npos ? dash : dash + 1) != std::string::npos ||
      (dash != std::string::npos && !gated))
    config.reject(kKey, "an activation, or gated- and an activation");
  std::string activation = name == "gated-gelu" ? "gelu_new" : gated ? name.substr(dash + 1) : name;
  c.activation = config.maybe<std::string>("dense_act_fn").value_or(activation);
  if (!is_activation(c.activation)) config.reject(config.has("dense_act_fn") ? "dense_act_fn" : kKey, kActivations);
  c.gated_mlp = config.maybe<bool>("is_gated_act").value_or(gated);
}

std::optional<int64_t> read_token(const ConfigReader& config, const char* key, int64_t vocabulary) {
  auto token = config.maybe<int64_t>(key);
  if (token && (*token < 0 || *token >= vocabulary)) config.reject(key, fmt::format("an id below {}", vocabulary));
  return token;
}

}  // namespace

T5Config parse_t5_config(const ConfigReader& config) {
  T5Config c{};
  c.vocabulary = read_size(config, "vocab_size", 32128);
  c.width = read_size(config, "d_model", 512);
  c.head_dim = read_size(config, "d_kv", 64, 65536);
  c.hidden = read_size(config, "d_ff", 2048);
  c.encoder_layers = read_size(config, "num_layers", 6, kMostLayers);
  c.decoder_layers = read_size(config, "num_decoder_layers", c.encoder_layers, kMostLayers);
  c.heads = read_size(config, "num_heads", 8, 65536);
  c.buckets = read_size(config, "relative_attention_num_buckets", 32, kFarthest);
  if (c.buckets < 4) config.reject("relative_attention_num_buckets", "at least 4");
  c.farthest = read_size(config, "relative_attention_max_distance", 128, kFarthest);
  if (c.farthest <= c.buckets / 2)
    config.reject("relative_attention_max_distance", fmt::format("more than half the buckets, {}", c.buckets / 2));
  c.epsilon = config.optional("layer_norm_epsilon", 1e-6);
  read_feed_forward(config, c);
  // A file that says tie_word_embeddings: false means T5 1.1, which does not scale; transformers 5 always writes true
  // there, and the scale in a field of its own.
  c.scaled_output = config.has("scale_decoder_outputs") ? config.required<bool>("scale_decoder_outputs")
                                                        : config.optional("tie_word_embeddings", true);
  c.context = read_size(config, "n_positions", 512);
  c.pad_token = read_token(config, "pad_token_id", c.vocabulary);
  if (!config.json().contains("pad_token_id")) c.pad_token = config.optional<int64_t>("pad_token_id", 0);
  c.start_token = read_token(config, "decoder_start_token_id", c.vocabulary);
  if (!c.start_token) c.start_token = read_token(config, "bos_token_id", c.vocabulary);
  if (!config.optional("is_encoder_decoder", true)) config.reject("is_encoder_decoder", "true");
  c.factor = config.optional("initializer_factor", 1.0);
  return c;
}

}  // namespace nuri
