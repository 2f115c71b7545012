#include "models/parts/text/output_head.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "base/report.h"
#include "base/test_support.h"
#include "weights/stores.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

class OutputHead : public testing::Test, public ReportSink {
 protected:
  OutputHead() { set_report_sink(this); }
  ~OutputHead() override { set_report_sink(nullptr); }
  void warn(std::string_view line) override { warnings_.emplace_back(line); }
  void progress(std::string_view, int64_t, int64_t, std::string_view) override {}

  // A checkpoint whose embeddings are 1, 2, 3, 4 and whose head is `head`; none where it is empty.
  std::shared_ptr<CheckpointStore> stored(const std::vector<float>& head) {
    std::vector<NamedTensor> tensors = {{"words.weight", at::tensor(words_).view({2, 2})}};
    if (!head.empty()) tensors.push_back({"lm_head.weight", at::tensor(head).view({2, 2})});
    write_tensors(folder_ / "model.safetensors", tensors);
    return std::make_shared<CheckpointStore>(folder_.path(), NameRules{}, LoadOptions{});
  }
  at::Tensor head_of(const WeightView& weights, bool tied) {
    Matrix words = (weights / "words").matrix("weight", 2, 2);
    at::Tensor head = output_head(weights, words, "words.weight", tied, {2, 2}, {}).numbers;
    EXPECT_EQ(head.is_same(words.numbers), weights.ledger().size() == 1);
    return head;
  }

  TestFolder folder_;
  std::vector<float> words_{1, 2, 3, 4};
  std::vector<std::string> warnings_;
};

TEST_F(OutputHead, TiedToTheEmbeddings) {
  for (const auto& head : {std::vector<float>{}, words_}) {
    auto store = stored(head);
    EXPECT_EQ(head_of(WeightView(store), true)[1][0].item<float>(), 3);
    EXPECT_NO_THROW(store->expect_all_taken());
  }
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(OutputHead, OtherNumbersAreNotDropped) {
  auto store = stored({1, 2, 7, 4});
  EXPECT_EQ(head_of(WeightView(store), true)[1][0].item<float>(), 7);
  EXPECT_NO_THROW(store->expect_all_taken());
  EXPECT_THAT(warnings_, testing::ElementsAre(testing::HasSubstr("lm_head.weight: found other numbers")));

  auto training = std::make_shared<TrainingStore>(1);
  training->add(store, "", "");
  EXPECT_EQ(head_of(WeightView(training), true)[1][0].item<float>(), 7);
}

TEST_F(OutputHead, OneOfItsOwn) {
  EXPECT_EQ(head_of(WeightView(stored({5, 6, 7, 8})), false)[1][0].item<float>(), 7);
  WeightView none(stored({}));
  EXPECT_THAT(message_of([&] { head_of(none, false); }), testing::HasSubstr("tensor lm_head.weight not found"));
}

TEST_F(OutputHead, TiedWhereNothingIsStored) {
  EXPECT_EQ(head_of(WeightView(std::make_shared<TrainingStore>(1)), true).numel(), 4);
  EXPECT_TRUE(head_of(WeightView(std::make_shared<ShapeStore>(at::kFloat)), true).is_meta());
}

}  // namespace
}  // namespace nuri
