#include "train/emoji_world/grammar.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/error.h"
#include "train/emoji_world/utf8.h"

namespace nuri {
namespace {

using WordSet = std::set<std::string, std::less<>>;

bool ends(const std::string& word, std::string_view end) {
  return word.size() >= end.size() && word.compare(word.size() - end.size(), end.size(), end) == 0;
}

std::string apply(const std::string& word, std::string_view how) {
  if (how.empty()) return word;
  if (how == "a") return with_article(word);
  if (how == "s") return plural_of(word);
  if (how == "be") return is_plural(word) ? "are" : "is";
  if (how == "do") return is_plural(word) ? "do" : "does";
  return with_particle(word, how);
}

}  // namespace

bool is_plural(const std::string& word) {
  static const WordSet kPlural = {"grapes",   "cherries", "blueberries", "peanuts",    "fries",
                                  "pancakes", "jeans",    "glasses",     "sunglasses", "gloves",
                                  "socks",    "scissors", "pants",       "eyeglasses", "trousers"};
  return kPlural.count(word) > 0;
}

bool is_stuff(const std::string& word) {
  static const WordSet kStuff = {"bread",    "corn",      "maize",      "garlic",   "popcorn",        "chocolate",
                                 "honey",    "milk",      "coffee",     "wine",     "beer",           "cheese",
                                 "sushi",    "lightning", "earth",      "luggage",  "tennis",         "bowling",
                                 "broccoli", "saturn",    "bubble tea", "football", "fork and knife", "bow and arrow"};
  return kStuff.count(word) > 0;
}

std::string with_article(const std::string& word) {
  static const WordSet kConsonantSound = {"unicorn", "ewe"}, kVowelSound = {"hourglass"};
  if (is_plural(word) || is_stuff(word)) return word;
  const bool vowel = std::string_view("aeiou").find(word[0]) != std::string_view::npos;
  return (((vowel && !kConsonantSound.count(word)) || kVowelSound.count(word)) ? "an " : "a ") + word;
}

std::string plural_of(const std::string& word) {
  static const WordSet kSame = {"sheep", "fish", "deer", "shrimp", "squid", "dice", "tropical fish"};
  static const std::map<std::string, std::string, std::less<>> kOdd = {{"mouse", "mice"},
                                                                       {"tooth", "teeth"},
                                                                       {"wolf", "wolves"},
                                                                       {"maple leaf", "maple leaves"},
                                                                       {"scarf", "scarves"},
                                                                       {"loaf", "loaves"},
                                                                       {"glass of milk", "glasses of milk"},
                                                                       {"potato", "potatoes"},
                                                                       {"tomato", "tomatoes"},
                                                                       {"volcano", "volcanoes"}};
  if (is_plural(word) || is_stuff(word) || kSame.count(word)) return word;
  if (const auto odd = kOdd.find(word); odd != kOdd.end()) return odd->second;
  for (std::string_view hiss : {"s", "x", "ch", "sh"}) {
    if (ends(word, hiss)) return word + "es";
  }
  if (ends(word, "y") && std::string_view("aeiou").find(word[word.size() - 2]) == std::string_view::npos) {
    return word.substr(0, word.size() - 1) + "ies";
  }
  return word + "s";
}

bool has_final_consonant(std::string_view word) {
  const std::u32string codes = decode_utf8(word);
  for (auto code = codes.rbegin(); code != codes.rend(); ++code) {
    if (is_hangul_syllable(*code)) return (*code - 0xAC00) % 28 != 0;
    // An English word in a Korean sentence: l, m, n and b end in a consonant as they are read.
    if (*code >= 'a' && *code <= 'z') return std::string_view("bklmnp").find(char(*code)) != std::string_view::npos;
  }
  return false;
}

std::string with_particle(const std::string& word, std::string_view particle) {
  static const std::map<std::string, std::string, std::less<>> kAfterVowel = {
      {"은", "는"}, {"이", "가"}, {"을", "를"}, {"과", "와"}, {"이라는", "라는"}};
  const auto found = kAfterVowel.find(particle);
  if (found == kAfterVowel.end()) {
    throw Error(ErrorKind::internal, fmt::format("emoji world phrase: unknown form \"{}\"", particle));
  }
  return word + (has_final_consonant(word) ? found->first : found->second);
}

std::string number_word(int number, Language language) {
  static constexpr const char* kEnglish[] = {"zero", "one", "two",   "three", "four",
                                             "five", "six", "seven", "eight", "nine"};
  static constexpr const char* kKorean[] = {"없음", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉"};
  return language == Language::english ? kEnglish[std::clamp(number, 0, 9)] : kKorean[std::clamp(number, 0, 9)];
}

std::string fill_phrase(std::string_view phrase, std::initializer_list<std::pair<char, std::string>> words) {
  std::string text;
  while (!phrase.empty()) {
    const size_t open = phrase.find('{'), close = phrase.find('}');
    text += phrase.substr(0, open);
    if (open == std::string_view::npos) break;
    std::string_view slot = phrase.substr(open + 1, close - open - 1);
    const std::string_view how = slot.size() > 2 ? slot.substr(2) : std::string_view();
    for (const auto& [letter, word] : words) {
      if (letter == slot[0]) text += apply(word, how);
    }
    phrase.remove_prefix(close + 1);
  }
  return text;
}

}  // namespace nuri
