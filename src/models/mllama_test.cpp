#include "models/mllama/model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/ragged_steps.h"
#include "models/registry.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/models";

void expect_near(const at::Tensor& expected, const at::Tensor& found) {
  ASSERT_EQ(expected.sizes(), found.sizes());
  EXPECT_LT((expected - found).abs().max().item<double>(), 1e-4 * expected.abs().max().item<double>());
}

// Sequences with pictures, with others and without any, together in steps that cut their prompts.
TEST(Mllama, RaggedStepsEqualTheWholeForward) {
  at::NoGradGuard no_grad;
  for (const char* name : {"mllama", "mllama_last_layer"}) {
    SCOPED_TRACE(name);
    OpenedModel opened = open_model(kGolden / name, {at::kFloat, at::kCPU});
    auto& model = dynamic_cast<CausalLM&>(*opened.model);
    NamedTensors inputs = read_tensors(kGolden / name / "inputs.safetensors");
    NamedTensors text = {{"input_ids", at::arange(3, 13, at::kLong).unsqueeze(0)}};
    std::vector<at::Tensor> expected = model.forward(inputs)["logits"].unbind(0);
    if (inputs.contains("attention_mask"))
      for (size_t row = 0; row < expected.size(); ++row)
        expected[row] =
            expected[row].index_select(0, inputs["attention_mask"][static_cast<int64_t>(row)].nonzero().squeeze(1));
    expected.push_back(model.forward(text)["logits"][0]);
    std::vector<DecoderInput> prompts = model.embed(inputs);
    prompts.push_back(model.embed(text).front());
    EXPECT_EQ(prompts.back().slots, nullptr);

    for (int64_t rows_a_step : {1, 3, 100}) {
      Ragged ragged(model, prompts);
      std::vector<at::Tensor> found = ragged.logits(rows_a_step);
      ASSERT_EQ(found.size(), expected.size());
      for (size_t i = 0; i < found.size(); ++i) expect_near(expected[i], found[i]);
      auto continued = ragged.fork_and_continue(0, 5);
      expect_near(continued[0], continued[1]);
    }
  }
}

TEST(Mllama, RefusesImageTokensWithoutPictures) {
  OpenedModel opened = open_model(kGolden / "mllama", {at::kFloat, at::kCPU});
  auto& model = dynamic_cast<CausalLM&>(*opened.model);
  int64_t image_token = read_config(kGolden / "mllama").required<int64_t>("image_token_index");
  EXPECT_THROW(model.embed({{"input_ids", at::full({1, 1}, image_token, at::kLong)}}), Error);
}

}  // namespace
}  // namespace nuri
