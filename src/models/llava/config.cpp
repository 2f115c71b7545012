#include "models/llava/config.h"

#include <fmt/format.h>

#include "models/parts/size_config.h"

namespace nuri {
namespace {

// LlavaConfig without a vision_config stands for CLIP ViT-L/14 at 336 pixels.
VisionConfig default_vision() {
  VisionConfig c{};
  c.kind = VisionConfig::Kind::clip;
  c.encoder = {1024, 4096, 24, 16, 1e-5, "quick_gelu"};
  c.channels = 3, c.image_size = 336, c.patch_size = 14, c.projection = 768;
  return c;
}

}  // namespace

LlavaConfig parse_llava_config(const ConfigReader& config) {
  LlavaConfig c;
  c.vision = config.has("vision_config") ? parse_vision_config(config.child("vision_config"), "clip_vision_model")
                                         : default_vision();
  c.text = parse_text_config(config.child_or_empty("text_config"), "llama");
  // Newer files decide at the top level, older ones in the text part.
  if (config.has("tie_word_embeddings")) c.text.tied_embeddings = config.required<bool>("tie_word_embeddings");
  const char* token_key = config.has("image_token_id") ? "image_token_id" : "image_token_index";
  c.image_token = config.optional<int64_t>(token_key, 32000);
  // The default lies beyond the default vocabulary; such a model reads texts only.
  if (config.has(token_key) && (c.image_token < 0 || c.image_token >= c.text.vocabulary))
    config.reject(token_key, fmt::format("an id below vocab_size {}", c.text.vocabulary));
  c.features = read_feature_choice(config, c.vision.encoder.layers, -2);
  c.projector_activation = read_activation(config, "projector_hidden_act", "gelu");
  c.projector_bias = config.optional("multimodal_projector_bias", true);
  return c;
}

}  // namespace nuri
