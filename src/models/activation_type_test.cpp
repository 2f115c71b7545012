// Models of 16 bits, without gradients and with them, beside the same numbers in float32.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/test_support.h"
#include "models/registry.h"
#include "nn/kv_cache.h"
#include "ops/observe.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(NURI_SOURCE_DIR) / "tests/parity/golden/models";

class ActivationsOf : public testing::TestWithParam<const char*> {
 protected:
  // The golden checkpoint with weights that bfloat16 holds exactly.
  ActivationsOf() : inputs_(read_tensors(kGolden / GetParam() / "inputs.safetensors")) {
    for (const auto& entry : fs::directory_iterator(kGolden / GetParam()))
      fs::copy(entry.path(), folder_ / entry.path().filename().string(), fs::copy_options::recursive);
    std::vector<NamedTensor> rounded;
    for (auto& [name, tensor] : read_tensors(folder_ / "model.safetensors"))
      rounded.push_back({name, tensor.to(at::kBFloat16).to(at::kFloat)});
    write_tensors(folder_ / "model.safetensors", rounded);
    if (std::string_view(GetParam()).find("t5") != std::string_view::npos && inputs_.contains("labels"))
      inputs_["decoder_input_ids"] = inputs_.at("labels").clamp_min(0);
    inputs_.erase("labels");
  }
  OpenedModel open(at::ScalarType type) { return open_model(folder_.path(), {type, at::kCPU}); }
  at::Tensor logits(OpenedModel& opened) { return opened.model->forward(inputs_).at("logits"); }
  static double error(const at::Tensor& found, const at::Tensor& exact) {
    return ((found.to(at::kFloat) - exact).norm() / exact.norm()).item<double>();
  }

  TestFolder folder_;
  NamedTensors inputs_;
};

TEST_P(ActivationsOf, AreFloatsWithoutGradients) {
  at::Tensor expected;
  {
    at::NoGradGuard no_gradients;
    OpenedModel exact = open(at::kFloat);
    expected = logits(exact);
  }
  // Of bfloat16 libtorch's products, which round what they give, leave little of the difference in so few layers.
  for (auto [type, share] : {std::pair{at::kHalf, 0.9}, {at::kBFloat16, 1.5}}) {
    OpenedModel opened = open(type);
    at::Tensor narrow = logits(opened).detach();
    EXPECT_EQ(narrow.scalar_type(), type);
    at::NoGradGuard no_gradients;
    at::Tensor wide = logits(opened);
    EXPECT_EQ(wide.scalar_type(), at::kFloat);
    EXPECT_LT(error(wide, expected), share * error(narrow, expected)) << type;
  }
}

TEST_P(ActivationsOf, AreFloatsInSteps) {
  OpenedModel narrow = open(at::kBFloat16);
  at::NoGradGuard no_gradients;
  auto& model = dynamic_cast<CausalLM&>(*narrow.model);
  NamedTensors prompt = inputs_;
  for (const char* name : {"decoder_input_ids", "decoder_attention_mask", "position_ids", "logits_to_keep"})
    prompt.erase(name);
  DecoderInput input = model.embed(prompt).front();
  EXPECT_EQ(input.embeddings.scalar_type(), at::kFloat);
  EXPECT_EQ(model.activation_type(), at::kFloat);
  nn::KvCache cache(model.cache_shape(), 8, model.dtype());
  nn::CachedSequence sequence(cache);
  sequence.keep(input.slots);
  int64_t count = input.embeddings.size(0);
  at::Tensor positions = input.positions.defined() ? input.positions : at::arange(count, at::kLong);
  at::Tensor made = model.step({input.embeddings, positions, {{0, count, &sequence}}, {count - 1}}, cache);
  EXPECT_EQ(made.scalar_type(), at::kFloat);
  at::Tensor next = positions.narrow(-1, count - 1, 1) + 1;
  at::Tensor row = model.embed_made(at::tensor({5}, at::kLong));
  made = model.step({row, next, {{0, 1, &sequence}}, {0}}, cache);
  EXPECT_EQ(made.scalar_type(), at::kFloat);
  EXPECT_TRUE(made.isfinite().all().item<bool>());
  EXPECT_EQ(cache.keys(0).numbers.scalar_type(), at::kBFloat16);
}

INSTANTIATE_TEST_SUITE_P(Golden, ActivationsOf,
                         testing::Values("blip2_opt", "blip2_t5", "composed_c_abstractor", "instructblip_llama",
                                         "instructblip_t5", "internvl", "llama3", "llama4", "llama4_text_dense",
                                         "llava_siglip_qwen2", "mistral", "mixtral", "mllama", "nvlm_d", "opt",
                                         "opt_norm_behind", "qwen2_vl", "t5", "t5_gated_untied"),
                         [](const auto& info) { return std::string(info.param); });

// Products of rows in two numbers (ops::Factor).
class InTwo : public ops::ProductObserver {
 public:
  InTwo() { ops::observe_products(this); }
  ~InTwo() override { ops::observe_products(nullptr); }
  void see(const at::Tensor&, std::span<const ops::Factor> factors) override {
    count += std::ranges::count_if(factors, &ops::Factor::in_two);
  }
  int64_t count = 0;
};

class DecoderOf : public testing::TestWithParam<const char*> {};

TEST_P(DecoderOf, TakesRowsForQueriesAndKeysInTwo) {
  at::NoGradGuard no_gradients;
  OpenedModel opened = open_model(kGolden / GetParam(), {at::kBFloat16, at::kCPU});
  InTwo seen;
  opened.model->forward({{"input_ids", at::arange(1, 12, at::kLong).unsqueeze(0)}});
  EXPECT_EQ(seen.count, 2 * dynamic_cast<CausalLM&>(*opened.model).cache_shape().layers);
}

INSTANTIATE_TEST_SUITE_P(Golden, DecoderOf,
                         testing::Values("llama3", "llama4_text_dense", "mistral", "mixtral", "opt", "qwen2_vl"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace nuri
