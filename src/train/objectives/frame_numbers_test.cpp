#include "train/objectives/frame_numbers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/registry.h"
#include "train/objectives/test_support.h"

namespace nuri {
namespace {

constexpr int64_t kPicture = 9;

class FrameNumbersTest : public testing::Test {
 protected:
  FrameNumbersTest() { model_.table = at::eye(10).narrow(1, 0, 4); }  // the tokens 0 to 3 are the axes

  // A row with pictures of two tokens and of one, and a row with one picture and padding.
  at::Tensor ids_ = at::tensor(std::vector<int64_t>{5, 1, kPicture, kPicture, 2, kPicture, 7,  //
                                                    1, kPicture, kPicture, kPicture, 7, 0, 0})
                        .view({2, 7});
  TableModel model_;
};

TEST_F(FrameNumbersTest, ATokenIsRightWhenItLeansTowardItsNumber) {
  at::Tensor states = at::zeros({14, 4});
  for (int64_t place : {2, 3, 8, 9, 10}) states[place][1] = 3;
  states[5][2] = 0.1;  // the length does not count
  FrameNumbers numbers(model_, kPicture, 0, {1, 2});
  Objective::Loss loss = numbers.loss(states, ids_);
  EXPECT_LT(loss.total.item<double>(), 1e-6);
  EXPECT_EQ(loss.parts.at(0), (std::pair<std::string, double>("numbered", 1.0)));
  states[5] = states[2];
  EXPECT_NEAR(numbers.loss(states, ids_).parts.at(0).second, 5.0 / 6, 1e-6);
}

TEST_F(FrameNumbersTest, OnlyPictureTokensAreTaught) {
  at::Tensor states = at::ones({14, 4}).requires_grad_(true);
  FrameNumbers(model_, kPicture, 0, {1, 2}).loss(states, ids_).total.backward();
  at::Tensor taught = states.grad().abs().sum(1) > 0;
  EXPECT_TRUE(at::equal(taught, (ids_ == kPicture).reshape({-1}))) << taught;
}

TEST_F(FrameNumbersTest, MorePicturesThanNumbersAreRefused) {
  EXPECT_THROW(FrameNumbers(model_, kPicture, 0, {1}).loss(at::ones({14, 4}), ids_), Error);
}

TEST(TapTest, ShowsWhatALayerGives) {
  auto model = open_model(std::filesystem::path(NURI_SOURCE_DIR) / "models/emoji-world", LoadOptions{at::kFloat});
  Tap tap;
  model.model->show(&tap);
  auto output_of = [&](int64_t layer) {
    tap.layer = layer;
    tap.output.reset();
    at::NoGradGuard no_grad;
    model.model->forward({{"input_ids", at::tensor(std::vector<int64_t>{5, 6, 7}).unsqueeze(0)}});
    return tap.output;
  };
  EXPECT_EQ(output_of(0).sizes(), at::IntArrayRef({3, 256}));
  EXPECT_FALSE(at::equal(output_of(0), output_of(1)));
  EXPECT_FALSE(output_of(6).defined());
  EXPECT_FALSE(output_of(-1).defined());
}

}  // namespace
}  // namespace nuri
