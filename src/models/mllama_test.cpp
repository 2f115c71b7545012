#include "models/mllama/model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/registry.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/models";

// Prompts whose sequences share steps of a few rows each -> the logits of every row.
class Ragged {
 public:
  Ragged(CausalLM& model, std::vector<DecoderInput> prompts)
      : model_(model), prompts_(std::move(prompts)), cache_(model.cache_shape(), 64, at::kFloat) {
    for (const DecoderInput& prompt : prompts_) sequences_.emplace_back(cache_).keep(prompt.slots);
  }

  std::vector<at::Tensor> logits(int64_t rows_a_step) {
    std::vector<std::vector<at::Tensor>> found(prompts_.size());
    for (int64_t past = 0;; past += rows_a_step) {
      std::vector<at::Tensor> rows;
      std::vector<size_t> whose;
      for (size_t i = 0; i < prompts_.size(); ++i) {
        int64_t left = prompts_[i].embeddings.size(0) - past;
        if (left > 0) rows.push_back(prompts_[i].embeddings.narrow(0, past, std::min(left, rows_a_step)));
        if (left > 0) whose.push_back(i);
      }
      if (rows.empty()) break;
      std::vector<at::Tensor> made = step(rows, whose);
      for (size_t i = 0; i < whose.size(); ++i) found[whose[i]].push_back(made[i]);
    }
    std::vector<at::Tensor> joined;
    for (const auto& pieces : found) joined.push_back(at::cat(pieces));
    return joined;
  }

  // The same token behind a sequence and behind its fork.
  std::vector<at::Tensor> fork_and_continue(size_t sequence, int64_t id) {
    sequences_.push_back(sequences_[sequence].fork());
    at::Tensor row = model_.embed_made(at::tensor({id}, at::kLong));
    return step({row, row}, {sequence, sequences_.size() - 1});
  }

 private:
  std::vector<at::Tensor> step(const std::vector<at::Tensor>& rows, const std::vector<size_t>& whose) {
    Step step;
    std::vector<int64_t> positions, counts;
    for (size_t i = 0; i < rows.size(); ++i) {
      int64_t begin = static_cast<int64_t>(positions.size()), count = rows[i].size(0);
      nn::CachedSequence& sequence = sequences_[whose[i]];
      step.sequences.push_back({begin, count, &sequence});
      for (int64_t row = 0; row < count; ++row) {
        step.logit_rows.push_back(begin + row);
        positions.push_back(sequence.length() + row);
      }
      counts.push_back(count);
    }
    step.embeddings = at::cat(rows);
    step.positions = at::tensor(positions, at::kLong);
    return model_.step(step, cache_).split_with_sizes(counts);
  }

  CausalLM& model_;
  std::vector<DecoderInput> prompts_;
  nn::KvCache cache_;
  std::vector<nn::CachedSequence> sequences_;
};

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
