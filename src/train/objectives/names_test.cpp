#include "train/objectives/names.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "train/objectives/contrastive.h"

namespace nuri {
namespace {

TEST(Names, ANameFitsItsObjectAndACategoryHalfOfIt) {
  NamedKind cat{7, Category::animal}, animal{-1, Category::animal};
  EXPECT_EQ(cat.fit(7, Category::animal), 1);
  EXPECT_EQ(cat.fit(8, Category::animal), 0);
  EXPECT_GT(animal.fit(7, Category::animal), 0);
  EXPECT_LT(animal.fit(7, Category::animal), 0.5);
  EXPECT_EQ(animal.fit(7, Category::vehicle), 0);
}

TEST(Names, PhrasesAreOfTheLanguage) {
  EXPECT_EQ(phrase_of("owl", Language::english, 0), "owl");
  EXPECT_EQ(phrase_of("owl", Language::english, 1), "an owl");
  EXPECT_EQ(phrase_of("고양이", Language::korean, 1), "고양이 그림");
}

TEST(Names, WithTruePairsAloneTheLossIsThatOfPairs) {
  at::Tensor logits = at::tensor({2.0f, -1.0f, 0.5f, 0.0f, 1.0f, -2.0f, 0.3f, 0.7f, 3.0f}).view({3, 3});
  EXPECT_NEAR(sigmoid_fit_loss(logits, at::eye(3)).item<double>(), sigmoid_pair_loss(logits).item<double>(), 1e-6);
  // A text that is three tenths right is best at the logit of 0.3.
  at::Tensor target = at::full({1, 1}, 0.3), best = at::logit(target);
  double least = sigmoid_fit_loss(best, target).item<double>();
  for (double step : {-0.5, 0.5}) EXPECT_GT(sigmoid_fit_loss(best + step, target).item<double>(), least);
}

TEST(Names, TheLargerWorldHasThreeHundredNames) {
  auto world = shared_emoji_world(true), smaller = shared_emoji_world();
  EXPECT_GE(world->size(), 300);
  for (int i = 0; i < smaller->size(); ++i) EXPECT_EQ(world->objects()[i].code, smaller->objects()[i].code);
}

}  // namespace
}  // namespace nuri
