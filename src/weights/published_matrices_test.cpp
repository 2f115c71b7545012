#include "weights/published_matrices.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/test_support.h"
#include "weights/stores.h"

namespace nuri {
namespace {

using testing::HasSubstr;

constexpr const char* kGptq = R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": false})";
constexpr const char* kAwq = R"({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"})";

std::string compressed(const std::string& weights, const std::string& format = "pack-quantized",
                       const std::string& more = "") {
  return R"({"quant_method": "compressed-tensors", "format": ")" + format +
         R"(", "config_groups": {"group_0": {"targets": ["Linear"], "weights": )" + weights + "}}" + more + "}";
}

class PublishedMethods : public testing::Test {
 protected:
  struct Part {
    std::string name;
    DType dtype;
    std::vector<int64_t> shape;
    std::vector<uint32_t> first = {};  // its first words; zeros follow
  };

  void configure(const std::string& method) {
    folder_.write("config.json", R"({"dtype": "float16", "quantization_config": )" + method + "}");
  }
  void write(const std::vector<Part>& tensors) {
    std::vector<TensorData> data;
    std::vector<std::vector<uint32_t>> memory;
    memory.reserve(tensors.size());
    for (const auto& [name, dtype, shape, first] : tensors) {
      memory.push_back(first);
      memory.back().resize(1024);
      data.push_back({name, dtype, shape, memory.back().data()});
    }
    write_safetensors(folder_ / "model.safetensors", data);
  }
  // [16, 64] of GPTQ, in two groups; the tensor named as `other` in place of its own.
  void write_gptq() { write_gptq(Part{}); }
  void write_gptq(const Part& other) {
    std::vector<Part> tensors = {{"m.qweight", DType::I32, {8, 16}},
                                 {"m.qzeros", DType::I32, {2, 2}},
                                 {"m.scales", DType::F16, {2, 16}},
                                 {"m.g_idx", DType::I32, {64}}};
    bool known = other.name.empty();
    for (Part& tensor : tensors)
      if (tensor.name == other.name) tensor = other, known = true;
    if (!known) tensors.push_back(other);
    write(tensors);
  }
  // The same without an order: of row 0 the first two codes are 3 and 5, the first scale is 1, all zeros are 1.
  void write_codes() {
    write({{"m.qweight", DType::I32, {8, 16}, {0x53}},
           {"m.qzeros", DType::I32, {2, 2}},
           {"m.scales", DType::F16, {2, 16}, {0x3C00}}});
  }
  CheckpointStore store(LoadOptions options = {}) const { return CheckpointStore(folder_, {}, options); }
  std::string refusal(int64_t n = 16, int64_t k = 64) {
    return message_of([&] { store().codes("m.weight", n, k); });
  }

  TestFolder folder_;
};

TEST_F(PublishedMethods, PartsOfGptqHaveToFitEachOther) {
  configure(kGptq);
  write_gptq();
  EXPECT_EQ(refusal(), "no error");
  EXPECT_THAT(refusal(16, 96),
              HasSubstr("model.safetensors: tensor m.qweight: found shape [8, 16], expected [12, 16]"));
  write_gptq({"m.qzeros", DType::I32, {2, 3}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.qzeros: found shape [2, 3], expected [2, 2]"));
  write_gptq({"m.scales", DType::F16, {1, 16}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.scales: found shape [1, 16], expected [2, 16]"));
  write_gptq({"m.scales", DType::I32, {2, 16}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.scales: found type I32, expected F16 or BF16 or F32"));
  write_gptq({"m.g_idx", DType::I32, {63}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.g_idx: found shape [63], expected [64]"));
  write({{"m.qweight", DType::I32, {8, 16}}, {"m.scales", DType::F16, {2, 16}}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.qzeros not found"));
}

TEST_F(PublishedMethods, GroupsAndScalesAreChecked) {
  configure(kGptq);
  write_gptq({"m.g_idx", DType::I32, {64}, {0, 1, 2}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.g_idx: found group 2 of column 2, expected 0 to 1"));
  write_gptq({"m.g_idx", DType::I32, {64}, {0xFFFFFFFF}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.g_idx: found group -1 of column 0"));
  write_gptq({"m.scales", DType::F16, {2, 16}, {0x7C000000}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.scales: found inf in group 0 of row 1, expected a finite scale"));
}

TEST_F(PublishedMethods, UnknownMethodsAreRefused) {
  write_gptq();
  for (auto [method, expected] : std::vector<std::pair<std::string, std::string>>{
           {R"({"quant_method": "bitsandbytes"})", R"(quant_method: found "bitsandbytes")"},
           {R"({"bits": 4})", "quant_method: found nothing"},
           {R"({"quant_method": "gptq", "bits": 3})", "bits: found 3, expected 4 or 8"},
           {R"({"quant_method": "gptq", "bits": 4, "group_size": 0})", "group_size: found 0"},
           {R"({"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"})", "checkpoint_format: found"},
           {R"({"quant_method": "gptq", "bits": 4, "dynamic": {"+:.*up": {"bits": 8}}})", "dynamic: found"},
           {R"({"quant_method": "awq", "bits": 8})", "bits: found 8, expected 4"},
           {R"({"quant_method": "awq", "bits": 4, "version": "gemv_fast"})", "version: found"},
           {compressed(R"({"num_bits": 8, "type": "float"})", "float-quantized"), "format: found"},
           {compressed(R"({"num_bits": 8, "type": "float"})", "int-quantized"), R"(type: found "float")"},
           {compressed(R"({"num_bits": 3, "group_size": 32})"), "num_bits: found 3, expected 4 or 8"},
           {compressed(R"({"num_bits": 4, "strategy": "block"})"), R"(strategy: found "block")"},
           {compressed(R"({"num_bits": 4, "group_size": 32})", "marlin-24"), R"(format: found "marlin-24")"},
           {compressed(R"({"num_bits": 4})", "pack-quantized", R"(, "sparsity_config": {"format": "sparse-24"})"),
            R"(sparsity_config.format: found "sparse-24")"},
           {compressed(R"({"num_bits": 4})", "pack-quantized", R"(, "kv_cache_scheme": {"num_bits": 8})"),
            "kv_cache_scheme: found"},
           {compressed(R"({"num_bits": 4})", "pack-quantized", R"(, "transform_config": {"a": 1})"),
            "transform_config: found"}}) {
    configure(method);
    EXPECT_THAT(message_of([&] { store(); }), HasSubstr(expected));
    EXPECT_THAT(message_of([&] { store(); }), HasSubstr("config.json: quantization_config."));
  }
}

TEST_F(PublishedMethods, PartsOfTheOthersHaveToFitToo) {
  configure(kAwq);
  write({{"m.qweight", DType::I32, {64, 2}}, {"m.qzeros", DType::I32, {2, 2}}, {"m.scales", DType::F16, {2, 15}}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.scales: found shape [2, 15], expected [2, 16]"));
  configure(compressed(R"({"num_bits": 4, "group_size": 32, "symmetric": false})"));
  const Part words{"m.weight_packed", DType::I32, {16, 8}}, scales{"m.weight_scale", DType::BF16, {16, 2}};
  write({words, scales});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.weight_zero_point not found"));
  write({words, scales, {"m.weight_zero_point", DType::I32, {16, 2}}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.weight_zero_point: found shape [16, 2], expected [2, 2]"));
  write({words,
         scales,
         {"m.weight_shape", DType::I64, {2}, {16, 0, 63, 0}},
         {"m.weight_zero_point", DType::I32, {2, 2}}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.weight_shape: found [16, 63], expected [16, 64]"));
  configure(compressed(R"({"num_bits": 8, "strategy": "channel"})", "int-quantized"));
  write({words, scales});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.weight_packed: found codes in words, expected what `format` tells"));
  write({{"m.weight", DType::I8, {16, 64}}, {"m.weight_scale", DType::F32, {16}}});
  EXPECT_THAT(refusal(), HasSubstr("tensor m.weight_scale: found shape [16], expected [16, 1]"));
}

TEST_F(PublishedMethods, NoTensorIsLeftBehind) {
  configure(kGptq);
  write_gptq({"m.bias", DType::F16, {16}});
  CheckpointStore idle = store();
  EXPECT_TRUE(idle.has("m.weight"));
  EXPECT_THAT(message_of([&] { idle.expect_all_taken(); }), HasSubstr("found the matrix m.weight, which this model"));
  idle.codes("m.weight", 16, 64);
  idle.expect_all_taken();  // a bias of zeros, for a model without one
  write_gptq({"m.weight", DType::F16, {16, 64}});
  EXPECT_THAT(message_of([&] { store(); }), HasSubstr("which name the same weight"));
  write_gptq({"m.bias", DType::F16, {16}, {0x3C00}});
  CheckpointStore needed = store();
  needed.codes("m.weight", 16, 64);
  EXPECT_THAT(message_of([&] { needed.expect_all_taken(); }), HasSubstr("found the tensor m.bias"));
}

TEST_F(PublishedMethods, AModelMayWantNumbersOrShapesAlone) {
  folder_.write("config.json", R"({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32}})");
  write_codes();
  at::Tensor numbers = store().take("m.weight", {16, 4, 4, 4}, {});
  EXPECT_EQ(numbers.scalar_type(), at::kHalf);
  EXPECT_EQ(numbers[0][0][0][1].item<float>(), 5 - 1);
  EXPECT_EQ(numbers[1].abs().max().item<float>(), 0);
  at::Tensor shape = store({at::kFloat, at::kMeta}).take("m.weight", {16, 64}, {});
  EXPECT_TRUE(shape.is_meta());
  EXPECT_THAT(message_of([&] { store({{}, at::kMeta}).take("m.weight", {16, 65}, {}); }), HasSubstr("m.qweight"));
}

TEST_F(PublishedMethods, AFusedMatrixIsTakenApart) {
  configure(kGptq);
  write_codes();
  NameRules rules;
  rules.splits = {{"m.", {"a.", "b."}, 1, {1, 3}}};
  CheckpointStore fused(folder_, rules, {at::kFloat});
  CheckpointStore whole(folder_, {}, {at::kFloat});
  EXPECT_FALSE(fused.codes("a.weight", 4, 64));
  at::Tensor numbers = whole.take("m.weight", {16, 64}, {});
  EXPECT_TRUE(at::equal(fused.take("a.weight", {4, 64}, {}), numbers.narrow(0, 0, 4)));
  EXPECT_TRUE(at::equal(fused.take("b.weight", {12, 64}, {}), numbers.narrow(0, 4, 12)));
  fused.expect_all_taken();
}

}  // namespace
}  // namespace nuri
