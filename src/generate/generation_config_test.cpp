#include "generate/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/report.h"
#include "base/test_support.h"

namespace nuri {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class GenerationConfigTest : public testing::Test, public ReportSink {
 protected:
  GenerationConfigTest() { set_report_sink(this); }
  ~GenerationConfigTest() override { set_report_sink(nullptr); }
  void warn(std::string_view line) override { warnings_.emplace_back(line); }
  void progress(std::string_view, int64_t, int64_t, std::string_view) override {}

  GenerationConfig read(const std::string& own, const std::string& config = "{}") {
    if (!own.empty()) write_file_atomically(folder_ / "generation_config.json", own);
    write_file_atomically(folder_ / "config.json", config);
    return read_generation_config(folder_);
  }
  std::string failure(const std::string& own) {
    return message_of([&] { read(own); });
  }

  TestFolder folder_;
  std::vector<std::string> warnings_;
};

TEST_F(GenerationConfigTest, ReadsWhatLlamaPublishes) {
  auto found = read(R"({"bos_token_id": 128000, "do_sample": true, "eos_token_id": [128001, 128008, 128009],
                        "temperature": 0.6, "top_p": 0.9, "transformers_version": "4.45.0.dev0"})",
                    R"({"eos_token_id": 7, "pad_token_id": 128004})");
  EXPECT_THAT(found.eos, ElementsAre(128001, 128008, 128009));
  EXPECT_EQ(found.bos, 128000);
  EXPECT_EQ(found.pad, 128004);
  EXPECT_TRUE(warnings_.empty());
  auto options = resolve_sampling(found, {}, 10);
  EXPECT_FALSE(options.is_greedy());
  EXPECT_EQ(options.temperature, 0.6);
  EXPECT_EQ(options.top_p, 0.9);
  EXPECT_EQ(options.top_k, 50);  // the reference's own default
}

TEST_F(GenerationConfigTest, FallsBackOnTheModelsConfig) {
  EXPECT_THAT(read("", R"({"eos_token_id": 2})").eos, ElementsAre(2));
  EXPECT_THAT(read("", R"({"text_config": {"eos_token_id": [3, 4]}})").eos, ElementsAre(3, 4));
  EXPECT_TRUE(resolve_sampling({}, {}, 1).is_greedy());
}

TEST_F(GenerationConfigTest, FlagsWinOverTheModelsOwn) {
  auto config = read(R"({"do_sample": true, "temperature": 0.6, "top_k": 20, "max_length": 100,
                         "repetition_penalty": 1.05, "stop_strings": "END"})");
  SamplingFlags flags;
  EXPECT_EQ(resolve_sampling(config, flags, 30).max_tokens, 70);
  EXPECT_EQ(resolve_sampling(config, flags, 300).max_tokens, 1);
  flags.temperature = 0.2, flags.max_tokens = 5, flags.seed = 9, flags.stop = {"x"};
  auto options = resolve_sampling(config, flags, 30);
  EXPECT_EQ(options.temperature, 0.2);
  EXPECT_EQ(options.top_k, 20);
  EXPECT_EQ(options.max_tokens, 5);
  EXPECT_EQ(options.repetition_penalty, 1.05);
  EXPECT_EQ(options.seed, 9u);
  EXPECT_THAT(options.stop, ElementsAre("END", "x"));
  flags.greedy = true;
  EXPECT_TRUE(resolve_sampling(config, flags, 30).is_greedy());
}

TEST_F(GenerationConfigTest, AFlagThatShapesSamplesAsksForThem) {
  SamplingFlags flags;
  flags.top_p = 0.5;
  EXPECT_FALSE(resolve_sampling({}, flags, 1).is_greedy());
  flags.temperature = 0.0;
  EXPECT_TRUE(resolve_sampling({}, flags, 1).is_greedy());
  flags.temperature = -1.0;
  EXPECT_THROW(resolve_sampling({}, flags, 1), Error);
}

TEST_F(GenerationConfigTest, WarnsOfWhatItDoesNotDo) {
  read(R"({"num_beams": 4, "typical_p": 1.0, "use_cache": true, "bad_words_ids": [[3]], "guidance_scale": null,
           "sequence_bias": {}, "shiny": 3, "no_repeat_ngram_size": 0})");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("num_beams"), HasSubstr("bad_words_ids"), HasSubstr("sequence_bias"),
                                     HasSubstr("shiny")));
}

TEST_F(GenerationConfigTest, NamesFileAndKeyOfAValueThatCannotBe) {
  EXPECT_THAT(failure(R"({"top_p": 3})"), HasSubstr("generation_config.json: top_p: found 3"));
  EXPECT_THAT(failure(R"({"eos_token_id": "two"})"), HasSubstr("generation_config.json: eos_token_id: found"));
  EXPECT_THAT(failure(R"({"eos_token_id": [1, -1]})"), HasSubstr("eos_token_id"));
  EXPECT_THAT(failure(R"({"temperature": "hot"})"), HasSubstr("temperature"));
  EXPECT_THAT(failure(R"({"max_new_tokens": 0})"), HasSubstr("max_new_tokens"));
}

}  // namespace
}  // namespace nuri
