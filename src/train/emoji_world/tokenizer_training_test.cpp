#include "train/emoji_world/tokenizer_training.h"

#include <gtest/gtest.h>

#include <set>

#include "base/config_reader.h"
#include "base/error.h"
#include "base/file.h"
#include "base/test_support.h"
#include "text/chat_template.h"
#include "train/emoji_world/test_world.h"

namespace nuri {
namespace {

TEST(BytePairs, MergesWhatStandsMostOften) {
  // Worked by hand: "ab" stands 7 times, then "abc" 5 times; "xy" once is not merged.
  const BytePairs pairs = learn_byte_pairs({{"abc", 5}, {"ab", 2}, {"xy", 1}}, 300);
  ASSERT_EQ(pairs.tokens.size(), 258u);
  EXPECT_EQ(pairs.tokens[256], "ab");
  EXPECT_EQ(pairs.tokens[257], "abc");
  EXPECT_EQ(pairs.merges[1], (std::pair<int, int>{256, 'c'}));
  EXPECT_EQ(learn_byte_pairs({{"abc", 5}}, 257).tokens.size(), 257u);
  EXPECT_THROW(learn_byte_pairs({}, 255), Error);
}

TEST(BytePairs, RunsOfOneLetterMergeFromTheLeft) {
  const BytePairs pairs = learn_byte_pairs({{"aaaaa", 3}}, 300);
  EXPECT_EQ(pairs.tokens[256], "aa");
  EXPECT_EQ(pairs.tokens[257], "aaa");  // aa+a and aa+aa stand as often; the smaller ids win
  const std::set<std::string> distinct(pairs.tokens.begin(), pairs.tokens.end());
  EXPECT_EQ(distinct.size(), pairs.tokens.size());
}

TEST(TokenizerTraining, SplitsNamesAndNumbersFromSpace) {
  const PieceSplitter split(test_world());
  EXPECT_EQ(split("a dog, 고양이는?\n\"box\": [7, 1024]"),
            (std::vector<std::string>{"a", " ", "dog", ", ", "고양이", "는", "?", "\n", "\"", "box", "\": ", "[", "7",
                                      ", ", "102", "4", "]"}));
  // Only where nothing but a particle follows, and at the beginning of a word.
  EXPECT_EQ(split("고양이들 고양이에서는 들고양이는"),
            (std::vector<std::string>{"고양이들", " ", "고양이에서는", " ", "들고양이는"}));
  EXPECT_TRUE(split("").empty());
  EXPECT_THROW(split("\xff"), Error);
}

TEST(TokenizerTraining, WritesTheSameFilesEachTime) {
  TokenizerTrainingOptions options;
  options.scenes = 40;
  options.vocabulary = 600;
  TestFolder folder;
  write_emoji_tokenizer(test_world(), options, folder);
  const std::string first = read_file(folder / "tokenizer.json");
  write_emoji_tokenizer(test_world(), options, folder);
  EXPECT_EQ(first, read_file(folder / "tokenizer.json"));
  const Json json = read_json_file(folder / "tokenizer.json");
  std::set<int64_t> ids;
  for (const auto& [token, id] : json["model"]["vocab"].items()) ids.insert(id.get<int64_t>());
  for (const Json& token : json["added_tokens"]) ids.insert(token["id"].get<int64_t>());
  EXPECT_EQ(ids.size(), 600u);
  EXPECT_EQ(*ids.rbegin(), 599);
  EXPECT_EQ(read_json_file(folder / "tokenizer_config.json")["eos_token"], "<|im_end|>");
}

TEST(TokenizerTraining, TheChatTemplateNumbersSeveralPictures) {
  TokenizerTrainingOptions options;
  options.scenes = 10;
  options.vocabulary = 400;
  TestFolder folder;
  write_emoji_tokenizer(test_world(), options, folder);
  const auto chat = ChatTemplate::from_folder(folder);
  ASSERT_TRUE(chat);
  const Json picture = {{"type", "image"}}, text = {{"type", "text"}, {"text", "What?"}};
  const auto prompt = [&](Json content) { return chat->render({{{"role", "user"}, {"content", std::move(content)}}}); };
  EXPECT_EQ(prompt({picture, text}), "<|im_start|>user\n<image>What?<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(prompt({picture, picture, text}),
            "<|im_start|>user\n1<image>2<image>What?<|im_end|>\n<|im_start|>assistant\n");
}

}  // namespace
}  // namespace nuri
