#include "tasks/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include "base/config_reader.h"
#include "base/error.h"
#include "base/test_support.h"
#include "models/registry.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kGolden = fs::path(NURI_SOURCE_DIR) / "tests/parity/golden";

class InspectTest : public testing::Test {
 protected:
  Json inspected(const Json& config) {
    std::ofstream(folder_ / "config.json") << config;
    return parse_json(inspect({(folder_ / "config.json").string(), ""}), "inspect");
  }
  std::string refusal(const Json& config) {
    return message_of([&] { inspected(config); });
  }

  TestFolder folder_;
};

int64_t sum_of(const Json& counts) {
  int64_t sum = 0;
  for (const auto& [name, count] : counts.items()) sum += count.get<int64_t>();
  return sum;
}

TEST_F(InspectTest, CountsWhatTheReferenceCounts) {
  Json cases = read_json_file(kGolden / "inspect/cases.json");
  EXPECT_GT(cases.size(), 50u);
  for (const auto& [name, expected] : cases.items()) {
    SCOPED_TRACE(name);
    Json told = inspected(expected["config"]), parameters = told["parameters"];
    EXPECT_EQ(told["architecture"], expected["config"]["architectures"][0]);
    EXPECT_EQ(told["source"], "configuration");
    EXPECT_EQ(parameters["total"], expected["parameters"]);
    EXPECT_EQ(parameters["active"], expected["active"]);
    EXPECT_EQ(parameters["trained"], expected["trained"]);
    EXPECT_EQ(sum_of(parameters["by_module"]), expected["parameters"].get<int64_t>());
    EXPECT_EQ(told["bytes"]["bfloat16"], 2 * expected["parameters"].get<int64_t>());
    for (const char* key : {"flops_per_token", "flops_per_picture", "tokens_per_picture"}) {
      if (expected.contains(key)) {
        EXPECT_EQ(told[key], expected[key]) << key;
      }
    }
    EXPECT_EQ(told["flops_per_picture"].is_null(), !expected.contains("flops_per_picture"));
    EXPECT_EQ(told["tokens_per_picture"].is_null(), !expected.contains("tokens_per_picture"));
    EXPECT_EQ(told["kv_bytes_per_token"].is_null(), told["flops_per_token"].is_null());
  }
}

TEST_F(InspectTest, EveryFamilyHasAPublishedShape) {
  std::set<std::string> counted;
  Json cases = read_json_file(kGolden / "inspect/cases.json");
  for (const auto& [name, expected] : cases.items())
    counted.insert(expected["config"]["architectures"][0].get<std::string>());
  const std::set<std::string> unknown_to_the_reference = {"NVLM_D", "NuriComposed", "NuriComposedRetrieval"};
  for (const Family& family : families())
    EXPECT_NE(counted.contains(family.architecture), unknown_to_the_reference.contains(family.architecture))
        << family.architecture;
}

TEST_F(InspectTest, AnExpertThatATokenPassesByIsNotActive) {
  Json mixtral = {{"model_type", "mixtral"}, {"torch_dtype", "bfloat16"}};  // 8x7B is what the reference assumes
  Json told = inspected(mixtral);
  EXPECT_EQ(told["parameters"]["total"], 46702792704);
  EXPECT_EQ(told["parameters"]["active"], 12879925248);
  // Of the active weights, all but the embedding's and the norms' are multiplied once; one position is attended to.
  int64_t products = 12879925248 - 32000 * 4096 - 65 * 4096;
  EXPECT_EQ(told["flops_per_token"], 2 * products + 32 * 2 * 2 * 4096);

  Json scout = {{"model_type", "llama4_text"}, {"num_hidden_layers", 4}, {"interleave_moe_layer_step", 2}};
  told = inspected(scout);
  EXPECT_EQ(told["parameters"]["total"].get<int64_t>() - told["parameters"]["active"].get<int64_t>(),
            2 * 15 * 3 * 5120ll * 8192);
}

TEST_F(InspectTest, TellsMemoryAndContext) {
  Json cases = read_json_file(kGolden / "inspect/cases.json");
  Json small = inspected(cases["llama32_1b"]["config"]);
  EXPECT_EQ(small["dtype"], "bfloat16");
  EXPECT_EQ(small["context_length"], 131072);
  EXPECT_EQ(small["kv_bytes_per_token"], 2 * 16 * 8 * 64 * 2);
  EXPECT_EQ(small["kv_bytes_per_token_int8"], 2 * 16 * 8 * (64 + 4));
  EXPECT_EQ(small["bytes"]["float32"], 4 * 1235814400ll);
  EXPECT_EQ(small["bytes"]["bfloat16"], 2 * 1235814400ll);
  // Every matrix has rows of a multiple of 32; 33 norms of 2048 stay in 16 bits.
  int64_t vectors = 33 * 2048, matrices = 1235814400 - vectors;
  EXPECT_EQ(small["bytes"]["int8"], matrices + matrices / 16 + 2 * vectors);
  EXPECT_EQ(small["bytes"]["int4"], matrices / 2 + matrices / 16 + 2 * vectors);
  EXPECT_EQ(small["scale_bytes"]["int4"], matrices / 16);
  EXPECT_EQ(small["memory"]["weights"], small["bytes"]["bfloat16"]);
  EXPECT_THAT(small["assumed"], testing::Contains("rms_norm_eps = 1e-06"));

  Json llava = inspected(cases["llava15_7b"]["config"]);
  EXPECT_EQ(llava["dtype"], "float16");
  EXPECT_EQ(llava["tokens_per_picture"], 576);
  EXPECT_EQ(llava["parameters"]["by_module"]["language_model.lm_head"], 32064 * 4096);
  EXPECT_THAT(llava["assumed"], testing::Contains("text_config.hidden_size = 4096"));

  Json clip = inspected(cases["clip_vit_b32"]["config"]);
  for (const char* key : {"context_length", "kv_bytes_per_token", "flops_per_token", "tokens_per_picture"})
    EXPECT_TRUE(clip[key].is_null()) << key;

  Json vast = inspected({{"model_type", "llama"}, {"hidden_size", 1 << 20}, {"num_attention_heads", 1 << 13}});
  EXPECT_EQ(vast["memory"]["fits"], false);
  EXPECT_EQ(vast["memory"]["context_that_fits"], 0);
}

TEST_F(InspectTest, ReadsTheHeadersOfWeights) {
  for (const auto& entry : fs::directory_iterator(kGolden / "models")) {
    SCOPED_TRACE(entry.path().filename());
    Json told = parse_json(inspect({entry.path().string(), ""}), "inspect");
    EXPECT_EQ(told["source"], "weights");
    int64_t total = 0;
    for (const auto& [name, tensor] : open_model(entry.path(), {}).parameters) total += tensor.numel();
    EXPECT_EQ(told["parameters"]["total"], total);
  }
  fs::copy(kGolden / "models/llama3/model.safetensors", folder_);
  Json config = read_json_file(kGolden / "models/llama3/config.json");
  config["intermediate_size"] = config["intermediate_size"].get<int>() + 1;
  std::ofstream(folder_ / "config.json") << config;
  EXPECT_THROW(inspect({folder_.path().string(), ""}), Error);
}

TEST_F(InspectTest, GivenTypeDecides) {
  std::string folder = kGolden / "models/llama3";
  Json wide = parse_json(inspect({folder, "float32"}), ""), narrow = parse_json(inspect({folder, "float16"}), "");
  EXPECT_EQ(wide["kv_bytes_per_token"].get<int64_t>(), 2 * narrow["kv_bytes_per_token"].get<int64_t>());
  EXPECT_EQ(narrow["dtype"], "float16");
  EXPECT_THROW(inspect({folder, "float8"}), Error);
}

TEST_F(InspectTest, HostileSizesEndInOneLine) {
  constexpr int64_t kLargest = int64_t{1} << 31;
  Json llama = {{"model_type", "llama"}};
  auto with = [&](std::initializer_list<const char*> keys, Json config) {
    config.update(llama);
    for (const char* key : keys) config[key] = kLargest;
    return refusal(config);
  };
  EXPECT_THAT(with({"hidden_size", "intermediate_size", "vocab_size"}, {{"num_attention_heads", kLargest / 2}}),
              HasSubstr("2^62 bytes"));
  EXPECT_THAT(with({"vocab_size", "intermediate_size"}, {{"num_hidden_layers", 100}}),
              HasSubstr("config.json: found a model of more than 2^50 parameters"));
  EXPECT_THAT(with({"hidden_size", "intermediate_size"}, Json::object()), HasSubstr("heads of at most"));
  EXPECT_THAT(refusal({{"model_type", "bert"}}), HasSubstr("LlavaForConditionalGeneration"));
  Json deep = {{"model_type", "llama"}, {"num_hidden_layers", 10000}, {"hidden_size", 4}, {"num_attention_heads", 1}};
  EXPECT_EQ(refusal(deep), "no error");
}

}  // namespace
}  // namespace nuri
