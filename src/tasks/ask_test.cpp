#include "tasks/ask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/test_support.h"

namespace nuri {
namespace {

const std::string kModel = NURI_SOURCE_DIR "/models/emoji-world";
const std::string kScene = NURI_SOURCE_DIR "/docs/scene.png", kOther = NURI_SOURCE_DIR "/docs/cat.png";

GenerationOptions briefly() {
  GenerationOptions options;
  options.greedy = true;
  options.max_tokens = 12;
  return options;
}

TEST(Assistant, ReadsAPictureOnce) {
  Assistant assistant(ModelOptions{.model = kModel});
  Answer first = assistant.ask("What is in the picture?", {kScene}, briefly());
  EXPECT_EQ(first.reused_tokens, 0);
  Answer same = assistant.ask("What is in the picture?", {kScene}, briefly());
  EXPECT_EQ(same.text, first.text);
  EXPECT_EQ(same.reused_tokens, (same.prompt_tokens - 1) / 16 * 16);
  Answer question = assistant.ask("Where is the cat?", {kScene}, briefly());
  EXPECT_GE(question.reused_tokens, 64);  // as many as the picture has
  EXPECT_LT(assistant.ask("What is in the picture?", {kOther}, briefly()).reused_tokens, 64);
  Assistant fresh(ModelOptions{.model = kModel});
  EXPECT_EQ(fresh.ask("Where is the cat?", {kScene}, briefly()).text, question.text);
}

TEST(Assistant, ACacheOfCodesAnswersTheSame) {
  Assistant exact(ModelOptions{.model = kModel}), coded(ModelOptions{.model = kModel, .cache = "int8"});
  for (const char* question : {"What is in the picture?", "Where is the cat?"})
    EXPECT_EQ(coded.ask(question, {kScene}, briefly()).text, exact.ask(question, {kScene}, briefly()).text);
}

TEST(Assistant, RefusesAContextBeyondMemoryWithTheArithmetic) {
  ModelOptions wide{.model = kModel, .context = int64_t{1} << 34};
  EXPECT_THAT(message_of([&] { Assistant assistant(wide); }),
              testing::MatchesRegex("the key-value cache: needs .* \\(17179869184 positions x .* bytes\\), found .*"));
  EXPECT_EQ(message_of([&] { Assistant assistant(ModelOptions{.model = kModel, .cache = "int4"}); }),
            "--cache: found int4, expected native or int8");
  EXPECT_EQ(message_of([&] { Assistant assistant(ModelOptions{.model = kModel, .context = -1}); }),
            "--context: found -1, expected 1 to 17179869184");
}

}  // namespace
}  // namespace nuri
