#include "generate/stop_strings.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace nuri {
namespace {

struct Outcome {
  std::string text;
  bool matched;
  bool operator==(const Outcome&) const = default;
};

Outcome run(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopStrings watch(stops);
  std::string text;
  for (const auto& piece : pieces) text += watch.push(piece);
  text += watch.finish();
  return {text, watch.matched()};
}

TEST(StopStrings, EndBeforeTheFirstMatchAcrossPieces) {
  EXPECT_EQ(run({"END"}, {"a", "bE", "N", "D", "c"}), (Outcome{"ab", true}));
  EXPECT_EQ(run({"END"}, {"a", "bE", "N", "d", "E"}), (Outcome{"abENdE", false}));
  EXPECT_EQ(run({"\n\n", "b"}, {"a\n", "b\n\n"}), (Outcome{"a\n", true}));
  EXPECT_EQ(run({"aab"}, {"a", "a", "a", "b"}), (Outcome{"a", true}));
  EXPECT_EQ(run({"abcd", "bc"}, {"xabcd"}), (Outcome{"xa", true}));
  EXPECT_EQ(run({"abc", "bc"}, {"xabc"}), (Outcome{"x", true}));
  EXPECT_EQ(run({"그림", "림"}, {"한 그", "림"}), (Outcome{"한 ", true}));
  EXPECT_EQ(run({}, {"x", "y"}), (Outcome{"xy", false}));
}

TEST(StopStrings, TextIsHeldNoLongerThanNeeded) {
  StopStrings watch({"abc"});
  EXPECT_EQ(watch.push("xa"), "x");
  EXPECT_EQ(watch.push("b"), "");
  EXPECT_EQ(watch.push("a"), "ab");
  EXPECT_EQ(watch.push("bx"), "abx");
}

TEST(StopStrings, PiecesDoNotMatter) {
  CounterRandom random(3);
  for (int trial = 0; trial < 2000; ++trial) {
    auto word = [&](int64_t low, int64_t high) {
      std::string text;
      for (int64_t length = random.between(low, high); length > 0; --length) text += "ab"[random.below(2)];
      return text;
    };
    std::vector<std::string> stops{word(1, 4), word(2, 6)}, pieces;
    std::string whole;
    for (int64_t count = random.between(0, 8); count > 0; --count) whole += pieces.emplace_back(word(0, 3));
    EXPECT_EQ(run(stops, pieces), run(stops, {whole}));
    std::vector<std::string> letters;
    for (char letter : whole) letters.emplace_back(1, letter);
    EXPECT_EQ(run(stops, pieces), run(stops, letters));
  }
}

}  // namespace
}  // namespace nuri
