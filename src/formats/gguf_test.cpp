#include "formats/gguf.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/test_support.h"
#include "formats/gguf_blocks.h"
#include "formats/gguf_config.h"
#include "formats/gguf_test_support.h"
#include "formats/safetensors.h"

namespace nuri {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/gguf";

GgufBuilder two_tensors() {
  GgufBuilder file;
  file.set("general.architecture", "llama").set("n", 7u).set("x", 0.5f).flag("yes", true);
  file.ones("a", {3, 2}).ones("b", {1});
  return file;
}

TEST(Gguf, ReadsMetadataAndTensors) {
  for (uint32_t version : {2u, 3u}) {
    GgufBuilder builder = two_tensors();
    builder.version = version;
    builder.list("words", std::vector<std::string>{"one", ""}).list("scores", std::vector<float>{-1, 2});
    const std::string file = builder.build();
    Gguf found = parse_gguf(file);
    EXPECT_EQ(found.metadata.text("general.architecture"), "llama");
    EXPECT_EQ(found.metadata.integer("n"), 7);
    EXPECT_EQ(found.metadata.number("n"), 7.0);
    EXPECT_EQ(found.metadata.number("x"), 0.5);
    EXPECT_EQ(found.metadata.boolean("yes"), true);
    EXPECT_EQ(found.metadata.integer("none"), std::nullopt);
    EXPECT_THAT(found.metadata.texts("words"), ElementsAre("one", ""));
    EXPECT_THAT(found.metadata.numbers("scores"), ElementsAre(-1, 2));
    ASSERT_EQ(found.tensors.size(), 2u);
    EXPECT_THAT(found.tensors[0].shape, ElementsAre(2, 3));
    EXPECT_EQ(found.tensors[0].size, 24u);
    EXPECT_EQ(found.tensors[1].offset - found.tensors[0].offset, 32u);
    EXPECT_EQ(found.tensors[1].offset + 4, file.size());
  }
}

TEST(Gguf, AlignmentIsTold) {
  GgufBuilder builder = two_tensors();
  builder.set("general.alignment", 128u);
  builder.alignment = 128;
  GgufBuilder aligned;
  aligned.alignment = 128;
  aligned.set("general.alignment", 128u).ones("a", {3}).ones("b", {3});
  Gguf found = parse_gguf(aligned.build());
  EXPECT_EQ(found.tensors[1].offset - found.tensors[0].offset, 128u);
  EXPECT_EQ(found.tensors[0].offset % 128, 0u);
}

TEST(Gguf, AnyBeginningIsRefused) {
  const std::string file = two_tensors().list("words", std::vector<std::string>{"one", ""}).build();
  for (size_t size = 0; size < file.size(); ++size) {
    const std::string part = file.substr(0, size);
    std::string message = message_of([&] { parse_gguf(part); });
    EXPECT_THAT(message, testing::StartsWith("f: found ")) << size;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

std::string refusal(const GgufBuilder& builder) {
  const std::string file = builder.build();
  return message_of([&] { parse_gguf(file); });
}

TEST(Gguf, RefusesALyingHeader) {
  const auto with = [](auto change) {
    GgufBuilder builder = two_tensors();
    change(builder);
    return refusal(builder);
  };
  using B = GgufBuilder;
  EXPECT_THAT(with([](B& b) { b.version = 1; }), HasSubstr("found version 1 of GGUF, expected 2 or 3"));
  EXPECT_THAT(with([](B& b) { b.version = 0x03000000; }), HasSubstr("little-endian"));
  EXPECT_THAT(with([](B& b) { b.more_tensors = 1; }), HasSubstr("found"));
  EXPECT_THAT(with([](B& b) { b.more_tensors = uint64_t{1} << 60; }), HasSubstr("tensors, expected at most"));
  EXPECT_THAT(with([](B& b) { b.more_keys = uint64_t{1} << 60; }), HasSubstr("metadata, expected at most"));
  EXPECT_THAT(with([](B& b) { b.more_tensors = -uint64_t{1}; }), HasSubstr("a wrong count"));
  EXPECT_NE(with([](B& b) { b.more_keys = -uint64_t{1}; }), "no error");
  EXPECT_THAT(with([](B& b) { b.set("n", 1u); }), HasSubstr("the metadata key n twice"));
  EXPECT_THAT(with([](B& b) { b.ones("a", {3}); }), HasSubstr("the tensor a twice"));
  EXPECT_THAT(with([](B& b) { b.raw("k", 13, ""); }), HasSubstr("the type 13 under the metadata key k"));
  EXPECT_THAT(with([](B& b) { b.raw("k", 9, B::bytes_of(uint32_t{9}) + B::bytes_of(uint64_t{1})); }),
              HasSubstr("a list of lists"));
  EXPECT_THAT(with([](B& b) { b.raw("k", 9, B::bytes_of(uint32_t{4}) + B::bytes_of(~uint64_t{0})); }),
              HasSubstr("values of a list, expected at most"));
  EXPECT_THAT(with([](B& b) { b.raw("k", 8, B::bytes_of(~uint64_t{0} - 3)); }), HasSubstr("expected at most the"));
  EXPECT_THAT(with([](B& b) { b.set("split.count", 2u); }), HasSubstr("expected a model in one file"));
  for (uint32_t alignment : {0u, 3u, 0xFFFFFFFFu})
    EXPECT_THAT(with([&](B& b) { b.set("general.alignment", alignment); }), HasSubstr("a power of two")) << alignment;
}

TEST(Gguf, RefusesTensorsThatCannotBe) {
  const auto with = [](std::vector<uint64_t> shape, uint32_t type, size_t bytes, int64_t offset = -1) {
    GgufBuilder builder = two_tensors();
    builder.tensor("c", std::move(shape), type, std::string(bytes, '\0'), offset);
    return refusal(builder);
  };
  EXPECT_EQ(with({4}, 0, 16), "no error");
  EXPECT_EQ(with({32, 2}, 8, 68), "no error");
  EXPECT_THAT(with({}, 0, 4), HasSubstr("0 dimensions of tensor c"));
  EXPECT_THAT(with({1, 1, 1, 1, 1}, 0, 4), HasSubstr("5 dimensions"));
  EXPECT_THAT(with({0}, 0, 0), HasSubstr("of size 0"));
  EXPECT_THAT(with({~uint64_t{0}}, 0, 4), HasSubstr("whose product a file can hold"));
  EXPECT_THAT(with({uint64_t{1} << 32, uint64_t{1} << 32}, 0, 4), HasSubstr("whose product a file can hold"));
  EXPECT_THAT(with({4}, 5, 16), HasSubstr("tensor c: found the type 5, expected one of F32 (0)"));
  EXPECT_THAT(with({33}, 8, 34), HasSubstr("rows of 33 numbers in tensor c, expected a multiple of 32"));
  EXPECT_THAT(with({128}, 12, 72), HasSubstr("a multiple of 256, as Q4_K has blocks"));
  EXPECT_THAT(with({4}, 0, 12), HasSubstr("tensor c of 16 bytes at 64 of the data"));
  EXPECT_THAT(with({4}, 0, 48), HasSubstr("16 bytes of no tensor at the end"));
  EXPECT_THAT(with({4}, 0, 16, 32), HasSubstr("behind the tensor before"));
  EXPECT_THAT(with({4}, 0, 16, 0), HasSubstr("behind the tensor before"));
  EXPECT_THAT(with({4}, 0, 48, 96), HasSubstr("32 bytes of no tensor in front of c"));
  EXPECT_THAT(with({4}, 0, 48, 72), HasSubstr("8 bytes of no tensor in front of c"));
  EXPECT_THAT(with({4}, 0, 16, int64_t{1} << 62), HasSubstr("tensor c of 16 bytes at"));
}

TEST(Gguf, NamesTheKeyOfAWrongType) {
  const std::string file = two_tensors().list("words", std::vector<std::string>{"one", ""}).build();
  Gguf found = parse_gguf(file);
  const GgufMetadata& metadata = found.metadata;
  EXPECT_EQ(message_of([&] { metadata.integer("x"); }), "f: metadata x: found 0.5, expected a whole number");
  EXPECT_THAT(message_of([&] { metadata.text("n"); }), HasSubstr("metadata n: found 7, expected a text"));
  EXPECT_THAT(message_of([&] { metadata.boolean("n"); }), HasSubstr("expected true or false"));
  EXPECT_THAT(message_of([&] { metadata.number("yes"); }), HasSubstr("found true, expected a number"));
  EXPECT_THAT(message_of([&] { metadata.integer("words"); }), HasSubstr("found a list of 2"));
  EXPECT_THAT(message_of([&] { metadata.numbers("words"); }), HasSubstr("expected a list of numbers"));
  EXPECT_THAT(message_of([&] { metadata.texts("n"); }), HasSubstr("expected a list of texts"));
  EXPECT_THAT(message_of([&] { metadata.required("none", 1, 3); }), HasSubstr("found nothing, expected a whole"));
  EXPECT_THAT(message_of([&] { metadata.required("n", 1, 3); }), HasSubstr("found 7, expected a whole number from 1"));
}

TEST(Gguf, EveryTypeMeansWhatThePackageSays) {
  GgufFile file(kGolden / "types.gguf");
  SafetensorsFile expected(kGolden / "types.safetensors");
  ASSERT_EQ(expected.tensors().size(), 15u);
  for (const GgufTensor& tensor : file.content().tensors) {
    const TensorInfo* numbers = expected.find(tensor.name);
    ASSERT_NE(numbers, nullptr) << tensor.name;
    std::vector<float> found(static_cast<size_t>(tensor.rows() * tensor.row_elements()));
    dequantize_blocks(tensor.type, file.data(tensor).data(), static_cast<int64_t>(found.size()), found.data());
    ASSERT_EQ(numbers->size, found.size() * 4);
    EXPECT_EQ(std::memcmp(found.data(), expected.data(*numbers).data(), numbers->size), 0) << tensor.name;
  }
}

// ---- the configuration

GgufBuilder small_model(const char* architecture = "llama") {
  const auto key = [&](const char* rest) { return fmt::format("{}.{}", architecture, rest); };
  GgufBuilder file;
  file.set("general.architecture", architecture)
      .set(key("embedding_length"), 16u)
      .set(key("feed_forward_length"), 24u)
      .set(key("block_count"), 2u)
      .set(key("context_length"), 64u)
      .set(key("attention.head_count"), 4u)
      .set(key("attention.layer_norm_rms_epsilon"), 1e-5f);
  return file.ones("token_embd.weight", {16, 10});
}

Json config_of(const GgufBuilder& builder) {
  const std::string file = builder.build();
  return gguf_config(parse_gguf(file), std::as_bytes(std::span(file)));
}

TEST(GgufConfig, SpeaksAsConfigJson) {
  Json found = config_of(small_model()
                             .set("llama.attention.head_count_kv", 2u)
                             .set("llama.rope.freq_base", 5e5f)
                             .set("tokenizer.ggml.bos_token_id", 1u)
                             .set("tokenizer.ggml.eos_token_id", 2u)
                             .set("tokenizer.ggml.eot_token_id", 3u));
  EXPECT_EQ(found, Json::parse(R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 10,
      "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "max_position_embeddings": 64,
      "hidden_act": "silu", "rms_norm_eps": 1e-05, "tie_word_embeddings": true, "attention_bias": false,
      "mlp_bias": false, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "rope_theta": 500000.0,
      "rope_scaling": null, "bos_token_id": 1, "eos_token_id": [2, 3]})"));
  Json mixtral = config_of(small_model().set("llama.expert_count", 4u).set("llama.expert_used_count", 2u));
  EXPECT_EQ(mixtral["architectures"][0], "MixtralForCausalLM");
  EXPECT_EQ(mixtral["num_local_experts"], 4);
  EXPECT_EQ(config_of(small_model("qwen2"))["architectures"][0], "Qwen2ForCausalLM");
  EXPECT_FALSE(config_of(small_model().ones("output.weight", {16, 10}))["tie_word_embeddings"].get<bool>());
}

TEST(GgufConfig, PositionsAreStretched) {
  Json linear = config_of(small_model().set("llama.rope.scaling.type", "linear").set("llama.rope.scaling.factor", 4.f));
  EXPECT_EQ(linear["rope_scaling"], (Json{{"rope_type", "linear"}, {"factor", 4.0}}));
  EXPECT_EQ(config_of(small_model().set("llama.rope.scale_linear", 2.f))["rope_scaling"]["factor"], 2.0);
  Json divided = config_of(small_model().ones("rope_freqs.weight", {2}));
  EXPECT_EQ(divided["rope_scaling"], (Json{{"rope_type", "divided"}, {"divisors", {1.0, 1.0}}}));
}

TEST(GgufConfig, RefusesWhatItWouldMisread) {
  const auto refusal = [](const GgufBuilder& builder) { return message_of([&] { config_of(builder); }); };
  EXPECT_THAT(refusal(GgufBuilder()), HasSubstr("general.architecture: found nothing, expected llama or qwen2"));
  EXPECT_THAT(refusal(small_model("gemma")), HasSubstr("found gemma, expected llama or qwen2"));
  EXPECT_THAT(refusal(GgufBuilder().set("general.architecture", "llama").ones("token_embd.weight", {4, 4})),
              HasSubstr("metadata llama.embedding_length: found nothing"));
  EXPECT_THAT(refusal(small_model().set("llama.rope.dimension_count", 2u)), HasSubstr("the size of a head, 4"));
  EXPECT_THAT(refusal(small_model().set("llama.attention.value_length", 8u)), HasSubstr("the size of a head, 4"));
  EXPECT_THAT(refusal(small_model().set("llama.rope.scaling.type", "yarn")), HasSubstr("found yarn, expected none or"));
  EXPECT_THAT(refusal(small_model().set("llama.attention.sliding_window", 5u)), HasSubstr("found 5, expected nothing"));
  EXPECT_THAT(refusal(small_model("qwen2").set("qwen2.expert_count", 5u)), HasSubstr("qwen2.expert_count: found 5"));
  EXPECT_THAT(refusal(small_model().ones("rope_freqs.weight", {3})), HasSubstr("rope_freqs.weight of 3 numbers"));
  EXPECT_THAT(refusal(small_model().set("llama.attention.head_count_kv", 0u)), HasSubstr("from 1 to"));
  std::string layers = GgufBuilder::bytes_of<uint32_t>(4) + GgufBuilder::bytes_of<uint64_t>(2) +
                       GgufBuilder::bytes_of<uint32_t>(2) + GgufBuilder::bytes_of<uint32_t>(4);
  EXPECT_THAT(refusal(small_model().raw("llama.attention.head_count_kv", 9, layers)),
              HasSubstr("found 2 and 4, expected the same for all layers"));
}

TEST(GgufConfig, OnlyLlamaTurnsNeighbours) {
  const std::string llama = small_model().set("llama.attention.head_count_kv", 2u).build();
  const std::string qwen = small_model("qwen2").build();
  EXPECT_EQ(interleaved_heads(parse_gguf(llama).metadata).query, 4);
  EXPECT_EQ(interleaved_heads(parse_gguf(llama).metadata).key, 2);
  EXPECT_EQ(interleaved_heads(parse_gguf(qwen).metadata).query, 0);
}

}  // namespace
}  // namespace nuri
