// Folders of tests/parity/golden/gguf hold a tiny model as a GGUF file, inputs, and what transformers computes with the
// numbers that the file means.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "models/registry.h"
#include "models/test_device.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/gguf";

double logits_error(const std::string& name, LoadOptions options) {
  at::NoGradGuard no_grad;
  std::filesystem::path folder = kGolden / name;
  options.device = test_device();
  OpenedModel opened = open_model(folder / "model.gguf", options);
  at::Tensor found = opened.model->forward(read_tensors(folder / "inputs.safetensors"))["logits"];
  at::Tensor expected = read_tensors(folder / "outputs.safetensors").at("logits");
  return ((expected - found.to(at::kCPU, at::kFloat)).abs().max() / expected.abs().max()).item<double>();
}

TEST(GgufParity, NumbersEqualTheReference) {
  for (const char* name : {"llama", "llama_biases", "qwen2", "mixtral", "mixtral_apart"})
    EXPECT_LT(logits_error(name, {at::kFloat}), 1e-4) << name;
}

TEST(GgufParity, BFloat16IsNear) {
  for (const char* name : {"llama", "llama_biases", "qwen2", "mixtral", "mixtral_apart"})
    EXPECT_LT(logits_error(name, {}), 0.1) << name;
}

// The inputs of products in codes are rounded to 8 bits.
TEST(GgufParity, CodesAreNearTheReference) {
  const double by_kernels = logits_error("quantised", {at::kFloat});
  EXPECT_LT(by_kernels, 0.03);
  EXPECT_LT(logits_error("quantised", {}), 0.05);
  const double as_on_a_gpu = logits_error("quantised", {at::kFloat, at::kCPU, {}, /*weight_only=*/true});
  EXPECT_LT(as_on_a_gpu, 0.03);
  EXPECT_NE(as_on_a_gpu, by_kernels);
}

TEST(GgufParity, ConfigurationsAreRead) {
  ConfigReader config = read_config(kGolden / "llama/model.gguf");
  EXPECT_EQ(family_of(config).architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.child("rope_scaling").required<std::string>("rope_type"), "divided");
  EXPECT_EQ(open_processor(kGolden / "llama/model.gguf")->tokenizer().token_of(1), "<s>");
}

}  // namespace
}  // namespace nuri
