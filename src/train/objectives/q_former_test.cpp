#include "train/objectives/q_former.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/test_support.h"
#include "models/composed/retrieval.h"
#include "train/objectives/query_texts.h"
#include "weights/stores.h"

namespace nuri {
namespace {

const std::filesystem::path kTokenizer = std::filesystem::path(NURI_SOURCE_DIR) / "models/emoji-world";

TEST(HardNegatives, AreOthersAndMostOftenTheNearest) {
  at::Tensor scores = at::tensor({9.0f, 3.0f, 0.0f, 1.0f, 9.0f, 1.0f, 0.0f, 0.0f, 9.0f}).view({3, 3});
  std::vector<std::vector<int>> chosen(3, std::vector<int>(3, 0));
  constexpr int kDraws = 4000;
  for (int i = 0; i < kDraws; ++i) {
    CounterRandom random(7, static_cast<uint64_t>(i));
    auto others = hard_negatives(scores, random);
    ASSERT_EQ(others.size(), 3u);
    for (size_t row = 0; row < 3; ++row) ++chosen[row][static_cast<size_t>(others[row])];
  }
  for (size_t row = 0; row < 3; ++row) EXPECT_EQ(chosen[row][row], 0);
  EXPECT_NEAR(chosen[0][1] / double{kDraws}, 1 / (1 + std::exp(-3.0)), 0.02);
  EXPECT_NEAR(chosen[1][0] / double{kDraws}, 0.5, 0.03);
  EXPECT_NEAR(chosen[2][1] / double{kDraws}, 0.5, 0.03);
}

TEST(ToldLoss, IsOfTheTokensBehindAndNotOfPadding) {
  at::manual_seed(3);
  at::Tensor logits = at::randn({2, 4, 6}), ids = at::randint(0, 6, {2, 4}, at::kLong);
  at::Tensor mask = at::ones({2, 4}, at::kBool);
  mask[1][3] = false;
  double sum = 0;
  int count = 0;
  for (int row = 0; row < 2; ++row)
    for (int i = 0; i + 1 < 4; ++i) {
      if (!mask[row][i + 1].item<bool>()) continue;
      at::Tensor likely = logits[row][i].log_softmax(0);
      sum -= 0.9 * likely[ids[row][i + 1].item<int64_t>()].item<double>() + 0.1 * likely.mean().item<double>();
      ++count;
    }
  EXPECT_NEAR(told_loss(logits, ids, mask).item<double>(), sum / count, 1e-5);
}

// The tokenizer of the bundled model with the tokens that a Q-Former wants.
class QFormerTexts : public testing::Test {
 protected:
  void SetUp() override {
    Json file = read_json_file(kTokenizer / "tokenizer.json");
    for (const char* name : {"[CLS]", "[DEC]", "[SEP]"}) {
      Json added = {{"id", next_++}, {"content", name}, {"special", true}};
      added["single_word"] = added["lstrip"] = added["rstrip"] = added["normalized"] = false;
      file["added_tokens"].push_back(added);
    }
    write_file_atomically(folder_ / "tokenizer.json", file.dump());
  }

  TestFolder folder_;
  int64_t next_ = 3072;
};

TEST_F(QFormerTexts, BeginAsWantedAndArePadded) {
  QueryTexts texts(folder_);
  std::vector<std::string> given = {"dog", "고양이, dog"};
  QueryReader::Text whole = texts(given, QueryTexts::Begin::whole), told = texts(given, QueryTexts::Begin::told);
  EXPECT_EQ(whole.ids[0][0].item<int64_t>(), 3072);
  EXPECT_EQ(told.ids[1][0].item<int64_t>(), 3073);
  EXPECT_TRUE(whole.ids.narrow(1, 1, whole.ids.size(1) - 1).equal(told.ids.narrow(1, 1, told.ids.size(1) - 1)));
  EXPECT_EQ(whole.ids[1][-1].item<int64_t>(), 3074);
  EXPECT_TRUE(whole.mask[1].all().item<bool>());
  int64_t used = whole.mask[0].sum().item<int64_t>();
  EXPECT_EQ(whole.ids[0][used - 1].item<int64_t>(), 3074);
  EXPECT_LT(used, whole.ids.size(1));
}

TEST_F(QFormerTexts, WithoutTheirTokensAreRefused) { EXPECT_THROW(QueryTexts{kTokenizer}, Error); }

// All three losses of a small Q-Former reach its weights, and fall.
TEST_F(QFormerTexts, TeachASmallQFormer) {
  Json table = parse_json(R"({"architectures": ["NuriComposedRetrieval"], "image_text_hidden_size": 16,
    "encoder": {"model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
                "num_attention_heads": 2, "image_size": 32, "patch_size": 16, "vision_use_head": false},
    "connector": {"type": "q_former", "num_queries": 4, "hidden_size": 16, "intermediate_size": 32,
                  "num_hidden_layers": 2, "num_attention_heads": 2, "cross_attention_frequency": 1,
                  "vocab_size": 3075, "max_position_embeddings": 64}})",
                          "a test");
  Json wanted =
      parse_json(R"({"kind": "q_former", "data": {"size": 32, "max_objects": 1, "word_share": 0.0}})", "a test");
  ConfigReader config(table, "model"), options(wanted, "objective");
  auto store = std::make_shared<TrainingStore>(5);
  WeightView weights(store);
  auto model = make_composed_retrieval(config, weights);
  auto objective = make_objective({options, *model, config, weights / "objective", folder_, 9});
  for (const auto& parameter : weights.ledger()) parameter.tensor.set_requires_grad(true);
  double before = 0, after = 0;
  for (int step = 0; step < 8; ++step) {
    Objective::Loss loss = objective->loss(0, 6);
    ASSERT_EQ(loss.parts.size(), 4u);
    (step == 0 ? before : after) = loss.total.item<double>();
    loss.total.backward();
    at::NoGradGuard no_grad;
    for (const auto& [name, tensor] : weights.ledger()) {
      bool unread = name.find("post_layernorm") != std::string::npos;  // behind the chosen layer
      ASSERT_EQ(tensor.grad().defined(), !unread) << name;
      if (unread) continue;
      at::Tensor(tensor).sub_(tensor.grad(), 0.05);
      tensor.mutable_grad().zero_();
    }
  }
  EXPECT_LT(after, 0.9 * before);
}

}  // namespace
}  // namespace nuri
