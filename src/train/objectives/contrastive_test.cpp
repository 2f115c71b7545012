#include "train/objectives/contrastive.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace nuri {
namespace {

TEST(PairLosses, AreThePapersFormulas) {
  at::Tensor logits = at::tensor({2.0f, -1.0f, 0.5f, 0.0f, 1.0f, -2.0f, 0.3f, 0.7f, 3.0f}).view({3, 3});
  double sigmoid = 0, rows = 0, columns = 0;
  for (int i = 0; i < 3; ++i) {
    double row = 0, column = 0;
    for (int j = 0; j < 3; ++j) {
      double x = logits[i][j].item<double>();
      sigmoid += std::log1p(std::exp(i == j ? -x : x));
      row += std::exp(x);
      column += std::exp(logits[j][i].item<double>());
    }
    rows += std::log(row) - logits[i][i].item<double>();
    columns += std::log(column) - logits[i][i].item<double>();
  }
  EXPECT_NEAR(sigmoid_pair_loss(logits).item<double>(), sigmoid / 3, 1e-5);
  EXPECT_NEAR(softmax_pair_loss(logits).item<double>(), (rows + columns) / 6, 1e-5);
}

}  // namespace
}  // namespace nuri
