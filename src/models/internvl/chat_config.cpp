#include "models/internvl/chat_config.h"

#include <fmt/format.h>

#include "models/parts/size_config.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDummyHeads = 7;  // of NVLM-D's encoder, in its code and not in its configuration

InternVitConfig parse_vision(const ConfigReader& config) {
  InternVitConfig c{};
  std::string type = config.optional<std::string>("model_type", "intern_vit_6b");
  if (type != "intern_vit_6b") config.reject("model_type", "intern_vit_6b");
  static_cast<PictureSizes&>(c) = read_picture_sizes(config, 14);
  c.encoder = read_encoder(config, {3200, 12800, 48, 25, 1e-6, "gelu"});
  c.qkv_bias = config.optional("qkv_bias", false);
  c.qk_norm = config.optional("qk_normalization", true);
  c.qk_epsilon = c.encoder.epsilon;
  c.rms_norm = read_norm_type(config, "rms_norm");
  c.learned_positions = true;
  c.closing_norm = false;
  c.branch_scale = config.optional("initializer_factor", 0.1);
  return c;
}

// The original decides by the decoder's architecture.
void read_decoder(const ConfigReader& config, InternvlConfig& c) {
  auto names = config.required<std::vector<std::string>>("architectures");
  if (config.optional<std::string>("rope_pos_id_version", "default") != "default")
    config.reject("rope_pos_id_version", "default");
  std::string name = names.empty() ? "" : names.front();
  if (name == "LlamaForCausalLM") {
    c.text = parse_llama_config(config);
  } else if (name == "Qwen2ForCausalLM") {
    c.text = parse_qwen2_config(config);
  } else if (name == "InternLM2ForCausalLM") {
    c.text = parse_internlm2_config(config);
    c.internlm2 = true;
  } else {
    config.reject("architectures", "LlamaForCausalLM, Qwen2ForCausalLM or InternLM2ForCausalLM");
  }
}

TileRule read_tiles(const ConfigReader& config) {
  TileRule tiles{};
  tiles.cut = config.optional("dynamic_image_size", false);
  tiles.thumbnail = config.optional("use_thumbnail", false);
  tiles.least = read_size(config, "min_dynamic_patch", 1, TileRule::kMost);
  tiles.most = read_size(config, "max_dynamic_patch", 6, TileRule::kMost);
  return tiles;
}

std::optional<Json> file_if_there(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  return read_json_file(path);
}

bool is_token(const Json& entry, std::string_view token) {
  return entry.is_object() && entry.contains("content") && entry["content"].is_string() &&
         entry["content"].get<std::string>() == token;
}

}  // namespace

std::optional<int64_t> added_token(const fs::path& folder, std::string_view token) {
  if (auto ids = file_if_there(folder / "added_tokens.json"); ids && ids->is_object())
    if (auto found = ids->find(std::string(token)); found != ids->end() && found->is_number_integer())
      return found->get<int64_t>();
  if (auto file = file_if_there(folder / "tokenizer_config.json"); file && file->contains("added_tokens_decoder"))
    for (const auto& [id, entry] : (*file)["added_tokens_decoder"].items())
      if (is_token(entry, token) && !id.empty() && id.size() < 10 && id.find_first_not_of("0123456789") == id.npos)
        return std::stoll(id);
  if (auto file = file_if_there(folder / "tokenizer.json"); file && file->is_object() && file->contains("added_tokens"))
    for (const Json& entry : (*file)["added_tokens"])
      if (is_token(entry, token) && entry.contains("id") && entry["id"].is_number_integer())
        return entry["id"].get<int64_t>();
  return std::nullopt;
}

InternvlConfig parse_internvl_chat_config(const ConfigReader& config) {
  InternvlConfig c{};
  c.chat_form = true;
  c.vision = parse_vision(config.child_or_empty("vision_config"));
  if (config.has("force_image_size") && config.required<int64_t>("force_image_size") != c.vision.image_size)
    config.reject("force_image_size", fmt::format("vision_config.image_size {}", c.vision.image_size));
  if (config.optional("pad2square", false)) config.reject("pad2square", "false");
  for (const char* key : {"use_backbone_lora", "use_llm_lora"})
    if (config.optional<int64_t>(key, 0) != 0) config.reject(key, "0: weights with the adapters merged");
  read_decoder(config.child_or_empty("llm_config"), c);
  c.tags = is_form(config, "NVLM_D", "NVLM_D");
  c.projector_hidden = c.tags ? c.text.hidden : c.text.width;
  c.projector_bias = !c.tags;
  c.vision.dummy_heads = c.tags ? kDummyHeads : 0;
  const char* token = c.tags ? "<|vision_pad|>" : "<IMG_CONTEXT>";
  c.image_token = added_token(fs::path(config.file()).parent_path(), token).value_or(-1);
  if (c.image_token >= c.text.vocabulary)
    config.reject("llm_config", fmt::format("a vocab_size above the id {} of {}", c.image_token, token));
  int64_t layers = c.vision.encoder.layers;
  c.layer = config.optional<int64_t>("select_layer", -1);
  if (c.layer < -(layers + 1) || c.layer > layers)
    config.reject("select_layer", fmt::format("layers from {} to {}", -(layers + 1), layers));
  if (c.layer < 0) c.layer += layers + 1;
  c.shrink = read_shrink(config, c.vision.patches_per_side());
  std::string version = config.optional<std::string>("ps_version", "v1");
  if (version != "v1" && version != "v2") config.reject("ps_version", "v1 or v2");
  c.columns_first = version == "v1";
  c.projector_activation = "gelu";
  c.tiles = read_tiles(config);
  return c;
}

}  // namespace nuri
