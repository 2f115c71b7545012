#include "text/regex.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/unicode.h"

namespace nuri {
namespace {

// The matches, with '|' between.
std::string matches(const char* pattern, std::string_view text) {
  std::string out;
  for (const Span& span : Pattern::regex(pattern, "f: k").find(text))
    if (span.match) {
      if (!out.empty()) out += '|';
      out += text.substr(span.begin, span.end - span.begin);
    }
  return out;
}

// Expected values from Oniguruma, as the `tokenizers` library calls it.
TEST(Pattern, MatchesAsOnigurumaDoes) {
  EXPECT_EQ(matches(R"(\s+)", "a \u3000b\u180Ec\x85"), " \u3000");  // U+180E is no space
  EXPECT_EQ(matches(R"(\w)", "²a̐_"), "²|a|\u0310|_");
  EXPECT_EQ(matches(R"([\w])", "²a"), "a");  // but in a class ² is no word character
  EXPECT_EQ(matches(R"(\h+)", "xAF09g"), "AF09");
  EXPECT_EQ(matches(R"([a-z&&[^aeiou]]+)", "hello"), "h|ll");
  EXPECT_EQ(matches(R"([^(\s|[.,])]+)", "a(b|c.d e"), "a|b|c|d|e");
  EXPECT_EQ(matches(R"([^\S\n]+)", "a \t\n b"), " \t| ");
  EXPECT_EQ(matches(R"(a(?i)b|c)", "aB aC ac"), "aB|aC|ac");
  EXPECT_EQ(matches(R"((?m:a.b)|a.c)", "a\nb a\nc a-c"), "a\nb|a-c");
  EXPECT_EQ(matches(R"(^a|b$)", "a\nab\nb"), "a|a|b|b");
  EXPECT_EQ(matches(R"(a{2}+)", "aaaaa"), "aaaa");
  EXPECT_EQ(matches(R"(xa{,2})", "xaaa x"), "xaa|x");
  EXPECT_EQ(matches(R"(a{,}|{x)", "a{,} {x"), "a{,}|{x");
  EXPECT_EQ(matches(R"([[:punct:]]+)", "a$+.b"), "$+.");
  EXPECT_EQ(matches(R"(\p{Punct}+)", "a$.b"), ".");
  EXPECT_EQ(matches(R"(\p{Han}+|\p{^Han}$)", "中文、a"), "中文|a");
  EXPECT_EQ(matches(R"([]a]+)", "b]a"), "]a");
  EXPECT_EQ(matches(R"([a-\d]+)", "-1ab"), "-1a");
  EXPECT_EQ(matches(R"((?x) a b # comment ( [
                        | c)",
                    "ab a c"),
            "ab|c");
  EXPECT_EQ(matches(R"(\u0041\x{ac00}\x42)", "A\uAC00B"), "A\uAC00B");
  EXPECT_EQ(matches(R"((\w)\1)", "aab"), "aa");
  EXPECT_EQ(matches(R"((?i:'s|'ll))", "'S 'Ll '\u017F"), "'S|'Ll|'\u017F");
  EXPECT_EQ(matches(R"(\p{N}{1,3})", "12345"), "123|45");
  EXPECT_EQ(matches(R"(\Bb|\bc)", "b ab c"), "b|c");
}

TEST(Pattern, CoversTheTextWithSpans) {
  const auto spans = Pattern::regex("", "f: k").find("a\uAC00");
  ASSERT_EQ(spans.size(), 5u);  // an empty match before each character and at the end
  EXPECT_EQ(spans[3].end, 4u);
  EXPECT_TRUE(spans[4].match);
  const auto plain = Pattern::plain("--", "f: k").find("a---b");
  ASSERT_EQ(plain.size(), 3u);
  EXPECT_TRUE(plain[1].match && plain[1].begin == 1 && plain[1].end == 3);
}

TEST(Pattern, RefusesWhatItDoesNotKnow) {
  for (const char* pattern :
       {"(",          ")", "[",     "[a",    "a\\",         "(?<n", "(?",    "(?~a)", "(*FAIL)", "\\p{Nope}", "\\p{L",
        "[[:nope:]]", "*", "[b-a]", "\\xFF", "\\x{110000}", "\\y",  "(?W)a", "(?#a",  "\\C",     "\\u12"}) {
    try {
      Pattern::regex(pattern, "file: key");
      ADD_FAILURE() << pattern;
    } catch (const Error& error) {
      EXPECT_TRUE(std::string_view(error.what()).starts_with("file: key: found the pattern")) << error.what();
    }
  }
  EXPECT_THROW(Pattern::regex(std::string(100000, '('), "f"), Error);
  EXPECT_THROW(Pattern::regex(std::string(100000, '['), "f"), Error);
}

TEST(Unicode, MendsBrokenBytesAsTheStandardSays) {
  EXPECT_EQ(valid_utf8("a\xF0\x9F\x98\x80z"), "a\U0001F600z");
  EXPECT_EQ(valid_utf8("\xF0\x9F\x98z"), "\uFFFDz");            // one for the maximal part
  EXPECT_EQ(valid_utf8("\xE0\x80\x80"), "\uFFFD\uFFFD\uFFFD");  // overlong
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(valid_utf8("\xF4\x90\x80\x80\xFF\xC3"), "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(valid_utf8("\xC3(\x80"), "\uFFFD(\uFFFD");
}

TEST(Unicode, NormalizesAsTheStandardSays) {
  const auto form = [](std::string_view text, NormalForm kind) {
    std::string out;
    for (const CharEdit& edit : normal_form(text, kind)) append_utf8(out, edit.code);
    return out;
  };
  EXPECT_EQ(form("e\u0301\u1100\u1161\u11A8", NormalForm::nfc), "\u00E9\uAC01");
  EXPECT_EQ(form("\uAC01\u1E69", NormalForm::nfd), "\u1100\u1161\u11A8s\u0323\u0307");
  EXPECT_EQ(form("q\u0307\u0323", NormalForm::nfc), "q\u0323\u0307");
  EXPECT_EQ(form("\uFB01\u2460\uFF21", NormalForm::nfkc), "fi1A");
  EXPECT_EQ(form("\u0958", NormalForm::nfc), "\u0915\u093C");  // excluded from composition
}

}  // namespace
}  // namespace nuri
