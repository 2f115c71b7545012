#include "models/internvl/config.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/test_support.h"
#include "models/internvl/chat_config.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

InternvlConfig parse(const std::string& json) {
  return parse_internvl_config(ConfigReader(parse_json(json, "config.json"), "config.json"));
}

std::string refusal(const std::string& json) {
  return message_of([&] { parse(json); });
}

TEST(Internvl, GridsByShapeAndArea) {
  TileRule rule{true, 1, 12, true};
  auto grid = [&](int64_t width, int64_t height) {
    TileRule::Grid found = rule.grid_of(width, height, 448, 448);
    return std::pair(found.columns, found.rows);
  };
  EXPECT_EQ(grid(448, 448), std::pair(int64_t{1}, int64_t{1}));
  EXPECT_EQ(grid(800, 400), std::pair(int64_t{2}, int64_t{1}));
  EXPECT_EQ(grid(1600, 800), std::pair(int64_t{4}, int64_t{2}));
  EXPECT_EQ(grid(1, 10000), std::pair(int64_t{1}, int64_t{12}));
  EXPECT_EQ(rule.tiles_in({4, 2}), 9);
  EXPECT_EQ(rule.tiles_in({1, 1}), 1);
  rule.cut = false;
  EXPECT_EQ(grid(1600, 800), std::pair(int64_t{1}, int64_t{1}));
}

TEST(Internvl, DefaultsOfBothForms) {
  InternvlConfig one = parse(R"({"architectures": ["InternVLForConditionalGeneration"]})");
  EXPECT_EQ(one.vision.image_size, 448);
  EXPECT_EQ(one.tokens_per_tile(), 256);
  EXPECT_EQ(one.image_token, 151667);
  EXPECT_TRUE(one.text.tied_embeddings);
  EXPECT_FALSE(one.close);
  EXPECT_EQ(one.layer, 24);

  InternvlConfig other = parse(R"({"model_type": "internvl_chat", "vision_config": {"image_size": 448}, "llm_config":
    {"architectures": ["InternLM2ForCausalLM"]}, "ps_version": "v2", "select_layer": -2})");
  EXPECT_EQ(other.vision.encoder.width, 3200);
  EXPECT_TRUE(other.vision.qk_norm);
  EXPECT_TRUE(other.internlm2);
  EXPECT_EQ(other.layer, 47);
  EXPECT_FALSE(other.columns_first);
  EXPECT_EQ(other.image_token, -1);
}

TEST(Internvl, WhatIsNotKnownIsRefusedByName) {
  auto first = [](const std::string& more) { return refusal(R"({"model_type": "internvl", )" + more + "}"); };
  EXPECT_THAT(first(R"("downsample_ratio": 0.3)"), HasSubstr("downsample_ratio: found 0.3, expected 1 / n"));
  EXPECT_THAT(first(R"("vision_feature_select_strategy": "full")"), HasSubstr("vision_feature_select_strategy"));
  EXPECT_THAT(first(R"("vision_feature_layer": [1, 2])"), HasSubstr("expected one layer"));
  EXPECT_THAT(first(R"("vision_config": {"norm_type": "group"})"), HasSubstr("vision_config.norm_type: found"));
  EXPECT_THAT(first(R"("vision_config": {"image_size": [448, 224]})"), HasSubstr("vision_config.image_size: found"));
  EXPECT_THAT(first(R"("text_config": {"model_type": "gpt2"})"), HasSubstr("text_config.model_type: found"));
  std::string decoder = R"("llm_config": {"architectures": ["LlamaForCausalLM"]}, )";
  auto second = [&](const std::string& more) {
    return refusal(R"({"architectures": ["InternVLChatModel"], "vision_config": {"image_size": 448}, )" +
                   (more.find("llm_config") == more.npos ? decoder : "") + more + "}");
  };
  EXPECT_THAT(second(R"("llm_config": {"architectures": ["Phi3ForCausalLM"]})"), HasSubstr("llm_config.architectures"));
  EXPECT_THAT(second(R"("llm_config": {})"), HasSubstr("llm_config.architectures: not found"));
  EXPECT_THAT(second(R"("ps_version": "v3")"), HasSubstr("ps_version: found"));
  EXPECT_THAT(second(R"("use_llm_lora": 16)"), HasSubstr("use_llm_lora: found 16"));
  EXPECT_THAT(second(R"("force_image_size": 224)"), HasSubstr("force_image_size: found 224"));
  EXPECT_THAT(second(R"("max_dynamic_patch": 100000)"), HasSubstr("max_dynamic_patch: found 100000"));
  EXPECT_THAT(second(R"("select_layer": -50)"), HasSubstr("select_layer: found -50"));
}

// The sizes of nvidia/NVLM-D-72B.
TEST(Internvl, NvlmD) {
  InternvlConfig c = parse(R"({"architectures": ["NVLM_D"], "model_type": "NVLM_D", "ps_version": "v2",
    "force_image_size": 448, "dynamic_image_size": true, "use_thumbnail": true, "select_layer": -1,
    "vision_config": {"model_type": "intern_vit_6b", "image_size": 448, "num_hidden_layers": 45},
    "llm_config": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 152064, "hidden_size": 8192,
                   "intermediate_size": 29568, "num_hidden_layers": 80, "num_attention_heads": 64,
                   "num_key_value_heads": 8}})");
  EXPECT_TRUE(c.tags);
  EXPECT_EQ(c.vision.dummy_heads, 7);
  EXPECT_EQ(c.projector_hidden, 29568);
  EXPECT_FALSE(c.projector_bias);
  EXPECT_EQ(c.tokens_per_tile(), 256);
  EXPECT_EQ(c.tiles.most, 6);
  EXPECT_EQ(c.layer, 45);
  InternvlConfig other = parse(R"({"model_type": "internvl_chat", "llm_config": {"architectures": ["LlamaForCausalLM"]},
    "vision_config": {"image_size": 448}})");
  EXPECT_FALSE(other.tags);
  EXPECT_EQ(other.vision.dummy_heads, 0);
  EXPECT_EQ(other.projector_hidden, other.text.width);
  EXPECT_TRUE(other.projector_bias);
}

TEST(Internvl, TokensOfTheFolder) {
  TestFolder folder;
  EXPECT_EQ(added_token(folder, "<IMG_CONTEXT>"), std::nullopt);
  folder.write("tokenizer.json",
               R"({"added_tokens": [{"id": 3, "content": "<img>"}, {"id": 5, "content": "<IMG_CONTEXT>"}]})");
  EXPECT_EQ(added_token(folder, "<IMG_CONTEXT>"), 5);
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"6": {"content": "<IMG_CONTEXT>"}, "x": 1}})");
  EXPECT_EQ(added_token(folder, "<IMG_CONTEXT>"), 6);
  folder.write("added_tokens.json", R"({"<IMG_CONTEXT>": 7})");
  EXPECT_EQ(added_token(folder, "<IMG_CONTEXT>"), 7);
}

}  // namespace
}  // namespace nuri
