#include "models/composed/model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/test_support.h"
#include "models/composed/fusion.h"
#include "models/parts/connectors/connector.h"
#include "models/ragged_steps.h"
#include "models/registry.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

using testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/models";

void expect_near(const at::Tensor& expected, const at::Tensor& found) {
  ASSERT_EQ(expected.sizes(), found.sizes());
  EXPECT_LT((expected - found).abs().max().item<double>(), 1e-4 * expected.abs().max().item<double>());
}

// Rows of a batch without their padding.
std::vector<at::Tensor> real_rows(const at::Tensor& logits, const NamedTensors& inputs) {
  std::vector<at::Tensor> rows = logits.unbind(0);
  if (inputs.contains("attention_mask"))
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i] = rows[i].index_select(0, inputs.at("attention_mask")[static_cast<int64_t>(i)].nonzero().squeeze(1));
  return rows;
}

// The engine's way, with a cache and slots, of prompts with pictures and of one without.
TEST(Composed, RaggedStepsEqualTheWholeForward) {
  at::NoGradGuard no_grad;
  for (const char* name : {"nvlm_d", "nvlm_x", "nvlm_x_tags_within", "nvlm_h", "nvlm_h_tags_within"}) {
    SCOPED_TRACE(name);
    OpenedModel opened = open_model(kGolden / name, {at::kFloat, at::kCPU});
    auto& model = dynamic_cast<CausalLM&>(*opened.model);
    NamedTensors inputs = read_tensors(kGolden / name / "inputs.safetensors");
    NamedTensors text = {{"input_ids", at::arange(10, 20, at::kLong).unsqueeze(0)}};
    std::vector<at::Tensor> expected = real_rows(model.forward(inputs)["logits"], inputs);
    expected.push_back(model.forward(text)["logits"][0]);
    std::vector<DecoderInput> prompts = model.embed(inputs);
    prompts.push_back(model.embed(text).front());
    EXPECT_EQ(prompts.back().slots, nullptr);
    for (int64_t rows_a_step : {1, 3, 100}) {
      Ragged ragged(model, prompts);
      std::vector<at::Tensor> found = ragged.logits(rows_a_step);
      for (size_t i = 0; i < found.size(); ++i) expect_near(expected[i], found[i]);
      auto continued = ragged.fork_and_continue(0, 5);
      expect_near(continued[0], continued[1]);
    }
  }
}

TEST(Composed, TagsAndTilesMustBeAsMany) {
  for (const char* name : {"nvlm_d", "nvlm_x", "nvlm_h", "composed_perceiver_resampler"}) {
    SCOPED_TRACE(name);
    OpenedModel opened = open_model(kGolden / name, {at::kFloat, at::kCPU});
    NamedTensors inputs = read_tensors(kGolden / name / "inputs.safetensors");
    NamedTensors alone = {{"input_ids", inputs["input_ids"]}};
    if (inputs.contains("attention_mask")) alone["attention_mask"] = inputs["attention_mask"];
    EXPECT_THAT(message_of([&] { opened.model->forward(alone); }), HasSubstr("expected as many"));
    inputs["pixel_values"] = at::cat({inputs["pixel_values"], inputs["pixel_values"]});
    EXPECT_THAT(message_of([&] { opened.model->forward(inputs); }), HasSubstr("expected as many"));
    inputs["input_ids"] = inputs["input_ids"].masked_fill(inputs["input_ids"] == inputs["input_ids"], 1000);
    EXPECT_THAT(message_of([&] { opened.model->forward(inputs); }), HasSubstr("input_ids: found"));
  }
}

TEST(Composed, AMarkerLooksAtItsOwnTileAndTheRestAtWhatStandsBefore) {
  at::Tensor markers = at::tensor({0, 1, 1, 0, 1}, at::kLong).to(at::kBool);
  at::Tensor expected = at::tensor({0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1}, at::kLong).view({6, 3});
  EXPECT_TRUE(looking(markers).equal(expected.to(at::kBool)));
}

// With gates of zero, as training begins, what was added to a decoder changes nothing.
TEST(Composed, GatesOfZeroLeaveTheDecoderAsItWas) {
  at::NoGradGuard no_grad;
  ConfigReader config = read_config(kGolden / "nvlm_x");
  auto store = std::make_shared<TrainingStore>(3);
  WeightView weights(store);
  auto model = make_composed(config, weights);
  NamedTensors inputs = read_tensors(kGolden / "nvlm_x/inputs.safetensors");
  at::Tensor before = model->forward(inputs)["logits"];
  inputs["pixel_values"] = inputs["pixel_values"] + 1;
  expect_near(before, model->forward(inputs)["logits"]);
  for (const NamedTensor& weight : weights.ledger())
    if (weight.name.find("gate") != std::string::npos && weight.name.find("gate_proj") == std::string::npos)
      weight.tensor.fill_(1);
  at::Tensor opened = model->forward(inputs)["logits"];
  EXPECT_GT((before - opened).abs().max().item<double>(), 1e-3);
}

TEST(Connector, SquaresOfPatches) {
  at::Tensor x = at::arange(16, at::kFloat).view({1, 16, 1});
  at::Tensor shuffled = pixel_shuffle(x, 4, 2), pooled = spatial_pooling(x, 4, 2);
  EXPECT_TRUE(shuffled[0][1].equal(at::tensor({2.0f, 3.0f, 6.0f, 7.0f})));
  EXPECT_TRUE(pooled.flatten().equal(at::tensor({2.5f, 4.5f, 10.5f, 12.5f})));
  EXPECT_TRUE(pixel_shuffle(x, 4, 2, /*columns_first=*/true)[0][1].equal(at::tensor({8.0f, 9.0f, 12.0f, 13.0f})));
}

}  // namespace
}  // namespace nuri
