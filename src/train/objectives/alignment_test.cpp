#include "train/objectives/alignment.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "base/error.h"
#include "base/test_support.h"
#include "text/tokenizer.h"
#include "train/emoji_world/tokenizer_training.h"
#include "train/objectives/dense.h"
#include "train/objectives/test_support.h"
#include "weights/stores.h"

namespace nuri {
namespace {

constexpr int64_t kWidth = 64, kSide = 32, kPatch = 8, kVocabulary = 600, kScenes = 6;
constexpr int64_t kPatches = kScenes * (kSide / kPatch) * (kSide / kPatch);

class AlignmentTest : public testing::Test {
 protected:
  AlignmentTest() {
    TokenizerTrainingOptions options;
    options.scenes = 40;
    options.vocabulary = kVocabulary;
    write_emoji_tokenizer(*shared_emoji_world(), options, folder_);
    model_.table = at::randn({kVocabulary, kWidth}, generator_);
  }

  // What the patches should look like: half way between the embeddings of their names in both languages. `shift`
  // names each object as another.
  at::Tensor wanted_rows(int64_t shift) {
    SceneSource source(data_, kSeed);
    const EmojiWorld& world = source.world();
    PatchLabels labels(world, kPatch);
    Tokenizer tokenizer = Tokenizer::from_folder(folder_);
    auto embed = [&](const std::string& name) {
      std::vector<int32_t> ids = tokenizer.encode(name, false);
      return model_.embed_made(at::tensor(std::vector<int64_t>(ids.begin(), ids.end()))).mean(0);
    };
    auto unit = [](const at::Tensor& x) { return x / x.norm(); };
    at::Tensor classes = labels(source.make(0, kScenes)).classes, rows = at::zeros({classes.size(0), kWidth});
    for (int64_t i = 0; i < rows.size(0); ++i) {
      int64_t kind = classes[i].item<int64_t>();
      if (kind >= world.size()) continue;
      const WorldObject& object = world.objects()[(kind + shift) % world.size()];
      rows[i] = unit(embed(object.name(Language::english))) + unit(embed(object.name(Language::korean)));
    }
    return rows;
  }

  std::unique_ptr<Objective> objective(int64_t place_step = 4) {
    Json model = {{"vision_config", {{"patch_size", kPatch}, {"image_size", kSide}}},
                  {"text_config", {{"hidden_size", kWidth}}}};
    ConfigReader options({{"place_step", place_step}, {"data", data_.json()}}, "recipe"), config(model, "recipe");
    auto store = std::make_shared<TrainingStore>(1);
    return make_alignment_objective({options, model_, config, WeightView(store), folder_, kSeed});
  }

  Objective::Loss loss(at::Tensor rows) {
    model_.rows = std::move(rows);
    return objective()->loss(0, kScenes);
  }

  static double part(const Objective::Loss& loss, const std::string& name) {
    for (const auto& [key, value] : loss.parts)
      if (key == name) return value;
    ADD_FAILURE() << name;
    return 0;
  }

  static constexpr uint64_t kSeed = 11;
  at::Generator generator_ = at::make_generator<at::CPUGeneratorImpl>(7);
  TestFolder folder_;
  ConfigReader data_{{{"size", kSide}, {"smallest", 0.4}, {"largest", 0.6}, {"word_share", 0.0}}, "recipe"};
  TableModel model_;
};

TEST_F(AlignmentTest, APatchIsRightWhenItLiesAtItsName) {
  Objective::Loss right = loss(wanted_rows(0)), wrong = loss(wanted_rows(1));
  EXPECT_GT(part(right, "patch_right"), 0.9);
  EXPECT_LT(part(wrong, "patch_right"), 0.1);
  EXPECT_LT(part(right, "patch_naming"), 3);  // both languages; chance is 2 log 800 = 13
  EXPECT_GT(part(wrong, "patch_naming"), 10);
}

TEST_F(AlignmentTest, AGradientLeadsToTheName) {
  model_.rows = at::randn({kPatches, kWidth}, generator_).requires_grad_();
  std::unique_ptr<Objective> teacher = objective();
  for (int step = 0; step < 100; ++step) {
    teacher->loss(0, kScenes).total.backward();
    at::NoGradGuard no_grad;
    model_.rows.sub_(model_.rows.grad() * 5);
    model_.rows.mutable_grad().reset();
  }
  EXPECT_GT(part(teacher->loss(0, kScenes), "patch_right"), 0.8);
  // The wanted rows were never told, only names.
  at::Tensor wanted = wanted_rows(0), covered = (wanted.norm(2, -1) > 0).nonzero().squeeze(1);
  at::Tensor near =
      at::cosine_similarity(model_.rows.detach().index_select(0, covered), wanted.index_select(0, covered), 1);
  EXPECT_GT(near.mean().item<double>(), 0.5);
}

TEST_F(AlignmentTest, LengthCountsAgainstTheEmbeddings) {
  // Every token alike, so that every name is as long as a token.
  model_.table = at::ones({kVocabulary, kWidth}) * (3 / std::sqrt(static_cast<double>(kWidth)));
  at::Tensor unit = at::zeros({kPatches, kWidth});
  unit.select(1, 5).fill_(1);
  EXPECT_NEAR(part(loss(3 * unit), "length"), 0, 1e-6);
  EXPECT_NEAR(part(loss(6 * unit), "length"), 1, 1e-5);
  EXPECT_NEAR(part(loss(0.3 * unit), "length"), 0.81, 1e-5);
}

TEST_F(AlignmentTest, StartsPlacesAtChance) {
  at::Tensor rows = at::randn({kPatches, kWidth}, generator_);
  // 32 pixels in steps of 4: nine (both ends included), whose untrained scores hardly differ.
  EXPECT_NEAR(part(loss(rows), "place_steps"), std::log(9), 0.3);
  EXPECT_THROW(objective(0), Error);
}

}  // namespace
}  // namespace nuri
