
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/config_reader.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "base/test_support.h"

namespace nuri {
namespace {

TEST(ConfigReader, ReadsTypesAndListsAssumptions) {
  ConfigReader config(parse_json(R"({"a": 3, "b": {"c": "x"}, "n": null, "f": 224.0})", "t.json"), "t.json");
  EXPECT_EQ(config.required<int64_t>("a"), 3);
  EXPECT_EQ(config.required<int64_t>("f"), 224);
  EXPECT_EQ(config.child("b").required<std::string>("c"), "x");
  EXPECT_EQ(config.optional("n", 7.5), 7.5);
  EXPECT_EQ(config.child("b").optional("d", std::string("y")), "y");
  EXPECT_EQ(message_of([&] { config.required<int64_t>("zz"); }), "t.json: zz: not found, expected an integer");
  EXPECT_EQ(message_of([&] { config.child("b").required<int64_t>("c"); }),
            "t.json: b.c: found \"x\", expected an integer");
  EXPECT_EQ(config.assumed(), (std::vector<std::string>{"n = 7.5", "b.d = \"y\""}));
}

TEST(ConfigReader, NamesTheNearestKnownKey) {
  ConfigReader config(parse_json(R"({"steps": 1, "optimiser": {"learnig_rate": 1}})", "r.toml"), "r.toml");
  config.required<int64_t>("steps");
  config.child("optimiser").optional("learning_rate", 0.1);
  EXPECT_EQ(message_of([&] { config.refuse_unknown_keys(); }),
            "r.toml: found the unknown key optimiser.learnig_rate, did you mean learning_rate?");
}

TEST(ShownText, IsOneShortLineOfWholeCharacters) {
  EXPECT_EQ(shown_text("a\nb\x1b"), "a?b?");
  EXPECT_EQ(shown_text("한글한글", 7), "한글...");
  EXPECT_EQ(shown_text("한글", 6), "한글");
  EXPECT_EQ(message_of([] { ConfigReader(parse_json(R"({"a\nb": 1})", "t"), "t").refuse_unknown_keys(); }),
            "t: found the unknown key a?b");
}

TEST(Json, RefusesWhatIsTooDeepOrBroken) {
  EXPECT_THROW(parse_json(std::string(100000, '['), "deep"), Error);
  EXPECT_THROW(parse_json("{\"a\": }", "broken"), Error);
  EXPECT_THROW(parse_json("", "empty"), Error);
  EXPECT_THROW(parse_json(std::string_view("{}\0x", 4), "zero"), Error);
  EXPECT_THROW(parse_json("\"\xFF\"", "no UTF-8"), Error);
  std::string message = message_of([] { parse_json("{\"\xFF\": 1}", "no UTF-8"); });
  EXPECT_EQ(message.find('\xFF'), std::string::npos) << message;
  EXPECT_THROW(parse_json("1e999", "too large"), Error);
}

TEST(Json, BuildsWhatTheTextSays) {
  std::string text = R"({"b":[1,-2,2.5,"x",null,true,[],{}],"a":{"c":{"d":[[1]]}},"":18446744073709551615})";
  EXPECT_EQ(parse_json(text, "t").dump(), text);
  EXPECT_EQ(parse_json(R"({"a":1,"b":2,"a":3})", "t"), Json::parse(R"({"b":2,"a":3})"));
  EXPECT_EQ(parse_json(" 7 ", "t"), Json(7));
}

TEST(Json, TakesTimeLinearInTheKeys) {
  std::string text = "{";
  for (int i = 0; i < 300000; ++i) text += fmt::format("\"{:06}\":{},", i, i);
  text.back() = '}';
  EXPECT_EQ(parse_json(text, "vocabulary").size(), 300000u);  // quadratic: minutes
}

TEST(AtomicFile, LeavesNothingBehindWithoutCommit) {
  TestFolder folder;
  { AtomicFile(folder / "a").write("half"); }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  write_file_atomically(folder / "a", "whole");
  EXPECT_EQ(read_file(folder / "a"), "whole");
  write_file_atomically(folder / "a", "another");
  EXPECT_EQ(read_file(folder / "a"), "another");
  EXPECT_NO_THROW(expect_writable(folder / "b"));
  EXPECT_FALSE(std::filesystem::exists(folder / "b"));
}

TEST(AtomicFile, KeepsWhatIsNoFile) {
  TestFolder folder;
  EXPECT_THROW(write_file_atomically(folder, "x"), Error);
  EXPECT_THROW(write_file_atomically("/dev/full", "x"), Error);
  EXPECT_NO_THROW(write_file_atomically("/dev/null", "x"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  write_file_atomically(folder / "a", "x");
  std::filesystem::create_symlink(folder / "a", folder / "link");
  write_file_atomically(folder / "link", "y");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "a"), "y");
}

TEST(CounterRandom, IsAFunctionOfSeedStreamAndCounter) {
  CounterRandom first(1, 2), second(1, 2), other(1, 3);
  first.next();
  CounterRandom resumed(1, 2, first.counter());
  second.next();
  EXPECT_EQ(resumed.next(), second.next());
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(other.below(10));
  EXPECT_EQ(seen.size(), 10u);
}

}  // namespace
}  // namespace nuri
