#include "models/mllama/config.h"

#include <fmt/format.h>

#include "models/parts/size_config.h"

namespace nuri {
namespace {

constexpr int64_t kDefaultRatios = 8;  // of up to 4 tiles
constexpr int64_t kMostTiles = 4096;

int64_t read_aspect_ratios(const ConfigReader& config, int64_t tiles) {
  constexpr const char* kKey = "supported_aspect_ratios";
  if (!config.has(kKey)) {
    if (tiles != 4) config.reject("max_num_tiles", "4, since supported_aspect_ratios is absent");
    config.optional<Json>(kKey, {{1, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 1}, {2, 2}, {3, 1}, {4, 1}});
    return kDefaultRatios;
  }
  Json ratios = config.required<Json>(kKey);
  if (!ratios.is_array() || ratios.empty()) config.reject(kKey, "a list of pairs");
  for (const Json& ratio : ratios)
    if (!ratio.is_array() || ratio.size() != 2) config.reject(kKey, "a list of pairs");
  return static_cast<int64_t>(ratios.size());
}

std::vector<int64_t> read_intermediate_layers(const ConfigReader& config, int64_t layers) {
  constexpr const char* kKey = "intermediate_layers_indices";
  auto indices = config.optional<std::vector<int64_t>>(kKey, {3, 7, 15, 23, 30});
  for (int64_t& index : indices) {
    if (index < -layers || index >= layers)
      config.reject(kKey, fmt::format("layers from {} to {}", -layers, layers - 1));
    if (index < 0) index += layers;
  }
  return indices;
}

MllamaVisionConfig parse_vision(const ConfigReader& config) {
  MllamaVisionConfig c{};
  c.channels = read_size(config, "num_channels", 3);
  c.image_size = read_size(config, "image_size", 448, 16384);
  c.patch_size = read_size(config, "patch_size", 14);
  if (c.patch_size > c.image_size) config.reject("patch_size", fmt::format("at most image_size {}", c.image_size));
  EncoderConfig& e = c.encoder;
  e.width = read_size(config, "hidden_size", 1280);
  e.hidden = read_size(config, "intermediate_size", 5120);
  e.layers = read_size(config, "num_hidden_layers", 32, kMostLayers);
  const char* heads_key = config.has("num_attention_heads") ? "num_attention_heads" : "attention_heads";
  e.heads = read_size(config, heads_key, 16);
  if (e.width % e.heads != 0) config.reject(heads_key, fmt::format("a divisor of hidden_size {}", e.width));
  e.epsilon = config.optional("norm_eps", 1e-5);
  e.activation = read_activation(config, "hidden_act", "gelu");
  c.global_layers = read_size(config, "num_global_layers", 8, kMostLayers);
  c.tiles = read_size(config, "max_num_tiles", 4, kMostTiles);
  c.aspect_ratios = read_aspect_ratios(config, c.tiles);
  c.intermediate_layers = read_intermediate_layers(config, e.layers);
  if (read_size(config, "vision_output_dim", 7680) != c.output_width())
    config.reject("vision_output_dim", fmt::format("{}, hidden_size for the last layer and each of {} others",
                                                   c.output_width(), c.intermediate_layers.size()));
  return c;
}

}  // namespace

MllamaTextConfig parse_mllama_text_config(const ConfigReader& config) {
  LlamaDecoderConfig defaults{};
  defaults.vocabulary = 128256, defaults.width = 4096, defaults.hidden = 14336, defaults.layers = 40;
  defaults.heads = 32, defaults.kv_heads = 8, defaults.context = 131072, defaults.epsilon = 1e-5;
  defaults.rope.theta = 500000;
  MllamaTextConfig c{parse_decoder_config(config, defaults), {}};
  LlamaDecoderConfig& d = c.decoder;
  if (d.head_dim * d.heads != d.width)
    config.reject("head_dim", fmt::format("{}, hidden_size / heads", d.width / d.heads));
  // The head has fewer rows than the embedding, so that the reference never ties them, whatever the file says.
  d.tied_embeddings = false;
  d.further_tokens = 8;
  auto looking = config.optional<std::vector<int64_t>>("cross_attention_layers", {3, 8, 13, 18, 23, 28, 33, 38});
  c.looks.assign(d.layers, false);
  int64_t others = d.layers;
  for (int64_t layer : looking) {  // the reference passes over numbers beyond the last layer
    if (layer < 0 || layer >= d.layers || c.looks[layer]) continue;
    c.looks[layer] = true, --others;
  }
  if (others == 0) config.reject("cross_attention_layers", "at least one layer of self-attention");
  return c;
}

MllamaConfig parse_mllama_config(const ConfigReader& config) {
  MllamaConfig c{parse_vision(config.child_or_empty("vision_config")),
                 parse_mllama_text_config(config.child_or_empty("text_config")), 0};
  const char* token_key = config.has("image_token_id") ? "image_token_id" : "image_token_index";
  c.image_token = config.optional<int64_t>(token_key, 128256);
  int64_t ids = c.text.decoder.vocabulary + c.text.decoder.further_tokens;
  if (config.has(token_key) && (c.image_token < 0 || c.image_token >= ids))
    config.reject(token_key, fmt::format("an id below {}", ids));
  return c;
}

}  // namespace nuri
