#include "models/qwen2_vl/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace nuri {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Qwen2VlConfig parse(const Json& json) { return parse_qwen2_vl_config(ConfigReader(json, "config.json")); }

// As Qwen2-VL-2B-Instruct was published, for transformers 4.45.
const char* const kFlat = R"({
  "architectures": ["Qwen2VLForConditionalGeneration"], "attention_dropout": 0.0, "hidden_act": "silu",
  "vision_start_token_id": 151652, "vision_end_token_id": 151653, "vision_token_id": 151654,
  "image_token_id": 151655, "video_token_id": 151656, "hidden_size": 1536, "initializer_range": 0.02,
  "intermediate_size": 8960, "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen2_vl",
  "num_attention_heads": 12, "num_hidden_layers": 28, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
  "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
  "use_cache": true, "use_sliding_window": false,
  "vision_config": {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "in_chans": 3,
    "hidden_size": 1536, "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14,
    "temporal_patch_size": 2},
  "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vocab_size": 151936})";

TEST(Qwen2VlConfig, ReadsThePublishedLayout) {
  Qwen2VlConfig c = parse(parse_json(kFlat, "config.json"));
  EXPECT_EQ(c.vision.kind, QwenVisionConfig::Kind::qwen2);
  EXPECT_EQ(c.vision.width, 1280);
  EXPECT_EQ(c.vision.hidden, 5120);
  EXPECT_EQ(c.vision.out_width, 1536);
  EXPECT_EQ(c.vision.activation, "quick_gelu");
  EXPECT_EQ(c.text.head_dim, 128);
  EXPECT_TRUE(c.text.tied_embeddings);
  EXPECT_TRUE(c.text.qkv_bias);
  EXPECT_EQ(c.text.rope.type, "default");
  EXPECT_THAT(c.text.rope.sections, ElementsAre(16, 24, 24));
  EXPECT_EQ(c.image_token, 151655);
}

Json newer() {
  return {{"model_type", "qwen2_5_vl"},
          {"text_config",
           {{"model_type", "qwen2_5_vl_text"},
            {"hidden_size", 64},
            {"num_attention_heads", 4},
            {"num_key_value_heads", nullptr},
            {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5e5}, {"mrope_section", {2, 3, 3}}}}}},
          {"vision_config", {{"hidden_size", 32}, {"num_heads", 4}, {"out_hidden_size", 64}}}};
}

TEST(Qwen2VlConfig, ReadsTheNewerLayoutWithTheDefaultsOfItsClass) {
  Qwen2VlConfig c = parse(newer());
  EXPECT_EQ(c.vision.kind, QwenVisionConfig::Kind::qwen2_5);
  EXPECT_EQ(c.vision.window_units(), 4);
  EXPECT_EQ(c.vision.tokens_per_second, 4);
  EXPECT_TRUE(c.vision.full_attention[7] && c.vision.full_attention[31] && !c.vision.full_attention[8]);
  EXPECT_EQ(c.text.kv_heads, 4);
  EXPECT_EQ(c.text.layers, 80);
  EXPECT_EQ(c.text.epsilon, 1e-5);
  EXPECT_EQ(c.text.rope.theta, 5e5);
  EXPECT_FALSE(c.text.tied_embeddings);
  Json tied_inside = newer();
  tied_inside["text_config"]["tie_word_embeddings"] = true;
  EXPECT_TRUE(parse(tied_inside).text.tied_embeddings);
}

TEST(Qwen2VlConfig, NamesWhatItRefuses) {
  auto refuses = [](const char* pointer, const Json& value, const char* key) {
    Json json = newer();
    json[Json::json_pointer(pointer)] = value;
    try {
      parse(json);
      ADD_FAILURE() << pointer;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(key));
    }
  };
  refuses("/text_config/rope_parameters/rope_type", "yarn", "rope_parameters.rope_type");
  refuses("/text_config/rope_parameters/mrope_section", {2, 3, 4}, "mrope_section");
  refuses("/text_config/rope_parameters/mrope_section", {-8, 8, 8}, "mrope_section");
  refuses("/text_config/rope_parameters/mrope_section", Json::array(), "mrope_section");
  refuses("/text_config/model_type", "llama", "text_config.model_type");
  refuses("/text_config/head_dim", 32, "head_dim");
  refuses("/vision_config/model_type", "qwen2_vl", "vision_config.model_type");
  refuses("/vision_config/out_hidden_size", 32, "vision_config.out_hidden_size");
  refuses("/vision_config/window_size", 20, "vision_config.window_size");
  refuses("/vision_config/num_heads", 16, "vision_config.num_heads");  // heads of 2 values
  refuses("/vision_config/depth", int64_t{1} << 40, "vision_config.depth");
  refuses("/vision_config/rope_parameters", {{"rope_type", "linear"}}, "rope_type");
  refuses("/image_token_id", 1 << 30, "image_token_id");
}

}  // namespace
}  // namespace nuri
