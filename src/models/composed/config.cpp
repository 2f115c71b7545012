#include "models/composed/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "models/parts/size_config.h"
#include "models/parts/table_config.h"

namespace nuri {
namespace {

using Fusion = ComposedConfig::Fusion;

constexpr int64_t kMostVocabulary = int64_t{1} << 30;

void read_encoder_table(const ConfigReader& config, ComposedEyes& c) {
  c.vision = parse_vision_config(config, "siglip_vision_model");
  constexpr const char* kKey = "vision_feature_layer";
  int64_t layers = c.vision.encoder.layers;
  if (config.has(kKey) && config.required<Json>(kKey).is_array())
    c.feature_layers = config.required<std::vector<int64_t>>(kKey);
  else
    c.feature_layers = {config.optional<int64_t>(kKey, -1)};
  if (c.feature_layers.empty()) config.reject(kKey, "at least one layer");
  for (int64_t& layer : c.feature_layers) {
    if (layer < -(layers + 1) || layer > layers)
      config.reject(kKey, fmt::format("layers from {} to {}", -(layers + 1), layers));
    if (layer < 0) layer += layers + 1;
  }
}

void read_decoder_table(const ConfigReader& config, ComposedConfig& c) {
  std::string type = config.optional<std::string>("model_type", "qwen2");
  if (type != "llama" && type != "qwen2") config.reject("model_type", "llama or qwen2");
  c.text = parse_text_config(config, type);
  if (c.text.vocabulary > kMostVocabulary) config.reject("vocab_size", fmt::format("at most {}", kMostVocabulary));
}

void read_fusion(const ConfigReader& config, ComposedConfig& c) {
  std::string type = config.required<std::string>("type");
  if (type != "unified" && type != "cross_attention" && type != "hybrid")
    config.reject("type", "unified, cross_attention or hybrid");
  c.fusion = type == "unified" ? Fusion::unified : type == "hybrid" ? Fusion::hybrid : Fusion::cross_attention;
  if (c.fusion != Fusion::unified) {
    c.every = read_size(config, "every", std::min<int64_t>(4, c.text.layers), kMostLayers);
    if (c.every > c.text.layers) config.reject("every", fmt::format("at most the decoder's {} layers", c.text.layers));
  }
}

void read_tags(const ConfigReader& config, ComposedConfig& c) {
  c.tile_tags = config.maybe<std::vector<int64_t>>("tile_tag_ids").value_or(std::vector<int64_t>{});
  if (c.tile_tags.empty()) {
    if (c.fusion != Fusion::unified)
      config.reject("tile_tag_ids", "ids: with cross-attention, tags say what looks where");
    if (config.has("thumbnail_tag_id")) config.reject("tile_tag_ids", "ids, since thumbnail_tag_id is given");
    return;
  }
  if (static_cast<int64_t>(c.tile_tags.size()) < c.tiles.most)
    config.reject("tile_tag_ids", fmt::format("an id for each of {} tiles", c.tiles.most));
  if (!c.tiles.thumbnail && config.has("thumbnail_tag_id"))
    config.reject("thumbnail_tag_id", "nothing, since thumbnail is false");
  std::vector<int64_t> all = c.tile_tags;
  if (c.tiles.thumbnail) all.push_back(c.thumbnail_tag = config.required<int64_t>("thumbnail_tag_id"));
  std::sort(all.begin(), all.end());
  if (all.front() < 0 || std::adjacent_find(all.begin(), all.end()) != all.end() ||
      std::binary_search(all.begin(), all.end(), c.image_token))
    config.reject("tile_tag_ids", "ids of tokens that differ from each other, the thumbnail's and the image token");
  int64_t next = c.text.vocabulary;  // what is not in the vocabulary follows it without a gap
  for (int64_t id : all)
    if (id >= c.text.vocabulary && id != next++)
      config.reject("tile_tag_ids",
                    fmt::format("ids in the vocabulary of {}, or those that follow it", c.text.vocabulary));
}

void read_resolution(const ConfigReader& config, ComposedConfig& c) {
  std::string type = config.required<std::string>("type");
  if (type != "fixed" && type != "tiles") config.reject("type", "fixed or tiles");
  c.tiles = {false, 1, 1, false};
  c.thumbnail_tag = -1;
  if (type == "tiles") {
    int64_t most = read_size(config, "max_tiles", 6, TileRule::kMost);
    c.tiles = {true, read_size(config, "min_tiles", 1, TileRule::kMost), most, config.optional("thumbnail", true)};
    if (c.tiles.least > most) config.reject("min_tiles", fmt::format("at most max_tiles {}", most));
    read_tags(config, c);
  }
  if (c.fusion == Fusion::hybrid && !c.tiles.thumbnail)
    config.reject(type == "tiles" ? "thumbnail" : "type", "tiles with a thumbnail, which a hybrid puts into the text");
}

void read_connector(const ConfigReader& config, int64_t out, bool with_text, ComposedEyes& c) {
  int64_t side = c.vision.image_size / c.vision.patch_size;
  int64_t width = c.vision.encoder.width * static_cast<int64_t>(c.feature_layers.size());
  c.connector = parse_connector_config(config.child("connector"), side, width, out, with_text);
}

void refuse_unknown_keys(const ConfigReader& config, const std::vector<std::string>& own) {
  std::vector<std::string> known = {"architectures",        "model_type",          "dtype",   "torch_dtype",
                                    "transformers_version", "quantization_config", "encoder", "connector"};
  known.insert(known.end(), own.begin(), own.end());
  for (const auto& [key, value] : config.json().items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string nearest = nearest_word(key, known);
    throw Error(ErrorKind::usage, fmt::format("{}: found the unknown key {}{}", config.file(), shown_text(key),
                                              nearest.empty() ? "" : fmt::format(", did you mean {}?", nearest)));
  }
}

}  // namespace

int64_t ComposedConfig::further_tags() const {
  int64_t further = thumbnail_tag >= text.vocabulary;
  for (int64_t id : tile_tags) further += id >= text.vocabulary;
  return further;
}

int64_t ComposedConfig::rows_in_text(bool thumbnail) const {
  bool unified = fusion == Fusion::unified || (fusion == Fusion::hybrid && thumbnail);
  return unified ? connector.tokens() : 0;
}

ComposedConfig parse_composed_config(const ConfigReader& config) {
  refuse_unknown_keys(config, {"image_token_id", "fusion", "decoder", "resolution"});
  ComposedConfig c{};
  read_encoder_table(config.child("encoder"), c);
  read_decoder_table(config.child("decoder"), c);
  read_connector(config, c.text.width, /*with_text=*/false, c);
  c.image_token = config.required<int64_t>("image_token_id");
  if (c.image_token < 0 || c.image_token >= c.text.vocabulary)
    config.reject("image_token_id", fmt::format("an id below vocab_size {}", c.text.vocabulary));
  auto own = [&](const char* name, void (*read)(const ConfigReader&, ComposedConfig&)) {
    c = read_own_table(config.child(name), name, [&](const ConfigReader& table) {
      ComposedConfig with = c;
      read(table, with);
      return with;
    });
  };
  own("fusion", read_fusion);
  own("resolution", read_resolution);
  return c;
}

ComposedRetrievalConfig parse_composed_retrieval_config(const ConfigReader& config) {
  refuse_unknown_keys(config, {"image_text_hidden_size"});
  ComposedRetrievalConfig c{};
  read_encoder_table(config.child("encoder"), c);
  read_connector(config, /*out=*/0, /*with_text=*/true, c);
  if (c.connector.kind != ConnectorConfig::Kind::q_former)
    config.child("connector").reject("type", "q_former, which alone reads texts");
  c.image_text_width = read_size(config, "image_text_hidden_size", 256);
  return c;
}

}  // namespace nuri
