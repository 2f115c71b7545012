#include "train/recipe.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/test_support.h"
#include "train/metrics.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

class RecipeFile : public testing::Test {
 protected:
  std::string error_of(const std::string& text) {
    return message_of([&] { read(text); });
  }
  Recipe read(const std::string& text) {
    write_file_atomically(folder_ / "r.toml", text);
    return read_recipe(folder_ / "r.toml");
  }

  const std::string kStage =
      "name = \"a\"\n[[stage]]\nname = \"one\"\nmodel = {model_type = \"x\"}\nobjective = {kind = \"dense\"}\n";
  TestFolder folder_;
};

TEST_F(RecipeFile, ReadsStagesAndDefaults) {
  Recipe recipe =
      read(kStage + "train = {steps = 100, batch = 4, learning_rate = 0.1, freeze = [\"a.*\"]}\n" +
           "start = [{from = \"m\", take = \"x.\", as = \"y.\"}]\n[[stage]]\nname = \"two\"\nlike = \"one\"\n"
           "objective = {kind = \"dense\"}\ntrain = {steps = 1, batch = 1, learning_rate = 1.0}\n");
  ASSERT_EQ(recipe.stages.size(), 2u);
  EXPECT_EQ(recipe.output, "runs/a");
  EXPECT_EQ(recipe.stages[0].train.warmup, 5);
  EXPECT_EQ(recipe.stages[0].train.save_every, 100);
  EXPECT_DOUBLE_EQ(recipe.stages[0].train.final_rate, 0.002);
  EXPECT_EQ(recipe.stages[0].start[0].as, "y.");
  EXPECT_EQ(recipe.stages[1].model, recipe.stages[0].model);
}

TEST_F(RecipeFile, NamesWhatIsWrong) {
  EXPECT_NE(error_of(kStage + "train = {steps = 1, batch = 1, learnig_rate = 0.1, learning_rate = 0.1}\n")
                .find("unknown key train.learnig_rate, did you mean learning_rate?"),
            std::string::npos);
  EXPECT_NE(error_of(kStage + "train = {steps = 0, batch = 1, learning_rate = 0.1}\n").find("train.steps: found 0"),
            std::string::npos);
  EXPECT_NE(error_of(kStage + "train = {batch = 1, learning_rate = 0.1}\n").find("train.steps: not found"),
            std::string::npos);
  EXPECT_NE(error_of("name = \"a\"\n").find("expected at least one"), std::string::npos);
  EXPECT_NE(error_of("name = \n").find("r.toml:1"), std::string::npos);
}

TEST(FitsPattern, KnowsStars) {
  EXPECT_TRUE(fits_pattern("vision_tower.encoder.x", "vision_tower.*"));
  EXPECT_TRUE(fits_pattern("a.b.c", "*.b.*"));
  EXPECT_TRUE(fits_pattern("a", "a"));
  EXPECT_FALSE(fits_pattern("ab", "a"));
  EXPECT_FALSE(fits_pattern("language_model.x", "vision_tower.*"));
}

TEST_F(RecipeFile, MetricsForgetWhatLiesBehindTheCheckpoint) {
  fs::path file = folder_ / "metrics.jsonl";
  write_file_atomically(file, "{\"step\":1,\"loss\":3.0}\n{\"step\":2,\"loss\":2.0}\n{\"step\":3,\"lo");
  Metrics metrics(file, 1);
  metrics.add({{"step", 2}, {"loss", 2.5}});
  EXPECT_EQ(read_file(file), "{\"step\":1,\"loss\":3.0}\n{\"step\":2,\"loss\":2.5}\n");
  std::string svg = plot_losses(metrics.lines(), "t");
  EXPECT_NE(svg.find("<polyline"), std::string::npos);
}

}  // namespace
}  // namespace nuri
