#include "models/composed/config.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/test_support.h"

namespace nuri {
namespace {

using testing::HasSubstr;

Json whole() {
  return parse_json(R"({"architectures": ["NuriComposed"], "model_type": "nuri_composed", "image_token_id": 9,
    "encoder": {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8,
                "image_size": 16, "patch_size": 4},
    "connector": {"type": "pixel_shuffle"},
    "fusion": {"type": "hybrid", "every": 1},
    "decoder": {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
                "num_key_value_heads": 2, "intermediate_size": 8},
    "resolution": {"type": "tiles", "max_tiles": 2, "tile_tag_ids": [20, 21], "thumbnail_tag_id": 22}})",
                    "test");
}

ComposedConfig parse(const Json& json) { return parse_composed_config(ConfigReader(json, "config.json")); }

// With the value at the path, as "/fusion/type", changed; null: left out.
std::string refusal(const char* path, const Json& value) {
  Json json = whole();
  json[Json::json_pointer(path)] = value;
  return message_of([&] { parse(json); });
}

TEST(ComposedConfig, PartsAndWhatFollowsOfThem) {
  ComposedConfig c = parse(whole());
  EXPECT_EQ(c.fusion, ComposedConfig::Fusion::hybrid);
  EXPECT_EQ(c.connector.tokens(), 4);
  EXPECT_EQ(c.connector.hidden, 8);
  EXPECT_EQ(c.further_tags(), 3);
  EXPECT_EQ(c.rows_in_text(true), 4);
  EXPECT_EQ(c.rows_in_text(false), 0);
  EXPECT_EQ(c.feature_layers, std::vector<int64_t>{2});

  Json json = whole();
  json["fusion"] = {{"type", "unified"}};
  json["connector"] = {{"type", "c_abstractor"}, {"num_queries", 9}};
  json["resolution"] = {{"type", "fixed"}};
  json["encoder"]["vision_feature_layer"] = {0, -1};
  c = parse(json);
  EXPECT_EQ(c.connector.tokens(), 9);
  EXPECT_EQ(c.connector.in, 16);
  EXPECT_EQ(c.every, 0);
  EXPECT_EQ(c.further_tags(), 0);
  EXPECT_FALSE(c.tiles.cut);
  EXPECT_EQ(c.rows_in_text(false), 9);
}

TEST(ComposedConfig, UnknownPartsAreRefusedWithTheKnownOnes) {
  EXPECT_THAT(refusal("/connector/type", "mpl"),
              HasSubstr(R"(config.json: connector.type: found "mpl", expected one of linear, mlp)"));
  EXPECT_THAT(refusal("/fusion/type", "late"), HasSubstr("expected unified, cross_attention or hybrid"));
  EXPECT_THAT(refusal("/resolution/type", "native"), HasSubstr("expected fixed or tiles"));
  EXPECT_THAT(refusal("/encoder/model_type", "resnet"), HasSubstr("encoder.model_type"));
  EXPECT_THAT(refusal("/decoder/model_type", "qwen2_vl_text"), HasSubstr("decoder.model_type"));
  for (const char* table : {"encoder", "connector", "fusion", "decoder", "resolution"})
    EXPECT_THAT(refusal(("/" + std::string(table)).c_str(), nullptr), HasSubstr(std::string(table) + ": not found"));
}

TEST(ComposedConfig, WhatDoesNotFitTogetherIsRefused) {
  EXPECT_THAT(refusal("/connector/factor", 3), HasSubstr("connector.factor: found 3, expected a divisor of 4 patches"));
  EXPECT_THAT(refusal("/connector/factor", 0), HasSubstr("connector.factor"));
  EXPECT_THAT(refusal("/encoder/vision_feature_layer", 4), HasSubstr("vision_feature_layer: found 4"));
  EXPECT_THAT(refusal("/fusion/every", 3), HasSubstr("fusion.every: found 3"));
  EXPECT_THAT(refusal("/image_token_id", 20),
              HasSubstr("image_token_id: found 20, expected an id below vocab_size 20"));
  EXPECT_THAT(refusal("/resolution/max_tiles", 3),
              HasSubstr("tile_tag_ids: found [20,21], expected an id for each of 3"));
  EXPECT_THAT(refusal("/resolution/max_tiles", 100000), HasSubstr("max_tiles: found 100000"));
  EXPECT_THAT(refusal("/resolution/min_tiles", 3), HasSubstr("min_tiles: found 3"));
  EXPECT_THAT(refusal("/resolution/thumbnail", false), HasSubstr("resolution.thumbnail"));
  Json bare = whole();
  bare["fusion"] = {{"type", "unified"}};
  bare["resolution"]["thumbnail"] = false;
  EXPECT_THAT(message_of([&] { parse(bare); }), HasSubstr("thumbnail_tag_id: found 22, expected nothing"));
  EXPECT_THAT(refusal("/resolution/thumbnail_tag_id", nullptr), HasSubstr("thumbnail_tag_id: not found"));
  EXPECT_THAT(refusal("/resolution/tile_tag_ids", nullptr), HasSubstr("tile_tag_ids"));
  for (const Json& ids : {Json({20, 20}), Json({20, 22}), Json({20, 9}), Json({20, -1}), Json({20, 23})})
    EXPECT_THAT(refusal("/resolution/tile_tag_ids", ids), HasSubstr("tile_tag_ids: found")) << ids;
  EXPECT_THAT(refusal("/resolution", {{"type", "fixed"}}), HasSubstr("resolution.type"));
}

TEST(ComposedConfig, UnknownKeysNameTheNearest) {
  EXPECT_THAT(refusal("/decodr", 1), HasSubstr("config.json: found the unknown key decodr, did you mean decoder?"));
  EXPECT_THAT(refusal("/connector/factr", 2),
              HasSubstr("connector: found the unknown key factr, did you mean factor?"));
  EXPECT_THAT(refusal("/fusion/evry", 2), HasSubstr("fusion: found the unknown key evry, did you mean every?"));
  EXPECT_THAT(refusal("/resolution/thumbnails", true), HasSubstr("did you mean thumbnail?"));
  Json json = whole();
  json["decoder"]["use_cache"] = true;  // of a published file
  EXPECT_NO_THROW(parse(json));
}

TEST(ComposedConfig, ConnectorsOfEachKind) {
  auto tokens = [](const Json& connector) {
    Json json = whole();
    json["connector"] = connector;
    return parse(json).connector.tokens();
  };
  EXPECT_EQ(tokens({{"type", "linear"}}), 16);
  EXPECT_EQ(tokens({{"type", "mlp"}}), 16);
  EXPECT_EQ(tokens({{"type", "spatial_pooling"}, {"factor", 4}}), 1);
  EXPECT_EQ(tokens({{"type", "q_former"}, {"num_queries", 5}}), 5);
  EXPECT_EQ(tokens({{"type", "perceiver_resampler"}, {"num_queries", 3}}), 3);
  auto complaint = [&](const Json& connector) { return message_of([&] { tokens(connector); }); };
  EXPECT_THAT(complaint({{"type", "perceiver_resampler"}, {"num_attention_heads", 3}}),
              HasSubstr("num_attention_heads"));
  EXPECT_THAT(complaint({{"type", "c_abstractor"}, {"num_queries", 5}}), HasSubstr("the square of a whole number"));
  EXPECT_THAT(complaint({{"type", "q_former"}, {"use_qformer_text_input", true}}), HasSubstr("use_qformer_text_input"));
  EXPECT_THAT(complaint({{"type", "linear"}, {"factor", 2}}), HasSubstr("unknown key factor"));
}

}  // namespace
}  // namespace nuri
