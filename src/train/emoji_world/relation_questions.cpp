#include <cctype>
#include <cmath>

#include <fmt/format.h>

#include "train/emoji_world/grammar.h"
#include "train/emoji_world/questions.h"

namespace nuri {
namespace {

using Phrase = std::string_view;

constexpr std::string_view kDirectionNames[] = {"left", "right", "above", "below"};
constexpr Phrase kTowardsEn[] = {"left of", "right of", "above", "below"};
constexpr Phrase kTowardsKo[] = {"왼쪽", "오른쪽", "위쪽", "아래쪽"};

std::optional<Turn> named(const Asker& asker, std::optional<int> answer, std::string topic, std::string question) {
  if (!answer) return std::nullopt;
  const std::string& name = asker.name(asker.kind(*answer));
  Turn turn = asker.turn(Task::relations, std::move(topic), std::move(question), name);
  turn.names = {name};
  return turn;
}

std::optional<Turn> ask_towards(const Asker& asker, int from, Direction direction) {
  static constexpr Phrase kEn[] = {"What is {d} the {x}?", "What do you see {d} the {x}?",
                                   "Which object is {d} the {x}?"};
  static constexpr Phrase kKo[] = {"{x}의 {d}에 무엇이 있나요?", "{x} {d}에는 뭐가 있어요?",
                                   "{x}보다 {d}에 있는 것은 무엇인가요?"};
  const auto d = static_cast<size_t>(direction);
  std::string towards(asker.english() ? kTowardsEn[d] : kTowardsKo[d]);
  if (asker.english() && d < 2 && asker.random.chance(0.5)) towards = "to the " + towards;
  const Phrase phrase = asker.one_of(kEn, kKo);
  return named(asker, only_one_towards(asker.scene, from, direction),
               fmt::format("{} {}", kDirectionNames[d], asker.kind(from)),
               fill_phrase(phrase, {{'d', towards}, {'x', asker.word_for(asker.kind(from))}}));
}

std::optional<Turn> ask_nearest(const Asker& asker, int from) {
  static constexpr Phrase kEn[] = {"What is nearest to the {x}?", "What is closest to the {x}?",
                                   "Which object is nearest to the {x}?"};
  static constexpr Phrase kKo[] = {"{x}에서 가장 가까운 것은 무엇인가요?", "{x} 가장 가까이에 무엇이 있나요?",
                                   "{x}에 제일 가까운 것은 뭐예요?"};
  const Phrase phrase = asker.one_of(kEn, kKo);
  return named(asker, nearest_to(asker.scene, from), fmt::format("nearest {}", asker.kind(from)),
               fill_phrase(phrase, {{'x', asker.word_for(asker.kind(from))}}));
}

std::optional<Turn> ask_farthest(const Asker& asker, Direction direction) {
  static constexpr Phrase kEn[][2] = {{"What is the leftmost object?", "What is farthest to the left?"},
                                      {"What is the rightmost object?", "What is farthest to the right?"},
                                      {"What is the topmost object?", "What is highest in the picture?"},
                                      {"What is the bottommost object?", "What is lowest in the picture?"}};
  static constexpr Phrase kKo[][2] = {{"가장 왼쪽에 있는 것은 무엇인가요?", "맨 왼쪽에 뭐가 있어요?"},
                                      {"가장 오른쪽에 있는 것은 무엇인가요?", "맨 오른쪽에 뭐가 있어요?"},
                                      {"가장 위에 있는 것은 무엇인가요?", "맨 위에 뭐가 있어요?"},
                                      {"가장 아래에 있는 것은 무엇인가요?", "맨 아래에 뭐가 있어요?"}};
  const auto d = static_cast<size_t>(direction);
  return named(asker, farthest(asker.scene, direction), fmt::format("farthest {}", kDirectionNames[d]),
               std::string(asker.one_of(kEn[d], kKo[d])));
}

Turn yes_no(const Asker& asker, std::string topic, std::string question, bool yes) {
  Turn turn = asker.turn(Task::yes_no, std::move(topic), std::move(question),
                         asker.english() ? (yes ? "yes" : "no") : (yes ? "네" : "아니요"));
  turn.yes = yes;
  return turn;
}

std::optional<Turn> is_it_towards(const Asker& asker) {
  static constexpr Phrase kEn[] = {"{x:be} the {x} {d} the {y}?"};
  static constexpr Phrase kKo[] = {"{x:이} {y}보다 {d}에 있나요?", "{x:은} {y}의 {d}에 있나요?"};
  const std::optional<int> first = asker.any_lone_object(), second = asker.any_lone_object();
  if (!first || !second || *first == *second) return std::nullopt;
  const auto d = asker.random.below(4);
  const double away = offset(asker.scene, *first, *second, kDirections[d]);
  if (std::abs(away) < kClearOffset) return std::nullopt;
  const std::string towards(asker.english() ? kTowardsEn[d] : kTowardsKo[d]);
  const Phrase phrase = asker.one_of(kEn, kKo);
  const std::string x = asker.word_for(asker.kind(*first)), y = asker.word_for(asker.kind(*second));
  std::string question = fill_phrase(phrase, {{'x', x}, {'y', y}, {'d', towards}});
  if (asker.english()) question[0] = static_cast<char>(question[0] - 'a' + 'A');
  return yes_no(asker, fmt::format("{} {} {}", kDirectionNames[d], asker.kind(*first), asker.kind(*second)),
                std::move(question), away > 0);
}

constexpr Phrase kIsThereEn[] = {"{x:be} there {x:a}?", "Do you see {x:a}?", "{x:be} there {x:a} in the picture?"};
constexpr Phrase kIsThereKo[] = {"{x:이} 있나요?", "{x:이} 보이나요?", "그림에 {x:이} 있어요?"};

std::string sentence(const Asker& asker, Phrase phrase, const std::string& word) {
  std::string text = fill_phrase(phrase, {{'x', word}});
  if (asker.english()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

Turn is_there_kind(const Asker& asker) {
  const bool yes = asker.random.chance(0.5);
  const int kind = yes ? asker.kind(asker.any_object()) : asker.absent_kind();
  std::string topic = fmt::format("kind {}", kind);
  if (asker.random.chance(0.05)) {
    static constexpr Phrase kForeignEn[] = {"Is there \"{x}\" in the picture?"};
    static constexpr Phrase kForeignKo[] = {"그림에 \"{x}\"도 있나요?"};
    const Language other = asker.english() ? Language::korean : Language::english;
    const std::string& foreign = asker.world.objects()[kind].name(other);
    return yes_no(asker, std::move(topic), sentence(asker, asker.one_of(kForeignEn, kForeignKo), foreign), yes);
  }
  const Phrase phrase = asker.one_of(kIsThereEn, kIsThereKo);
  return yes_no(asker, std::move(topic), sentence(asker, phrase, asker.word_for(kind)), yes);
}

std::optional<Turn> is_there_category(const Asker& asker) {
  const std::optional<CategoryWord> word = any_category(asker);
  if (!word) return std::nullopt;
  const std::string said(asker.english() ? word->english : word->korean);
  return yes_no(asker, fmt::format("category {}", word->english),
                sentence(asker, asker.one_of(kIsThereEn, kIsThereKo), said), count_category(asker, word->category) > 0);
}

Turn is_there_word(const Asker& asker) {
  static constexpr Phrase kEn[] = {"Is there a word in the picture?", "Is anything written here?"};
  static constexpr Phrase kKo[] = {"그림에 글자가 있나요?", "글자가 쓰여 있나요?"};
  return yes_no(asker, "word", std::string(asker.one_of(kEn, kKo)), asker.scene.word.has_value());
}

}  // namespace

namespace {

std::optional<Turn> try_relation(const Asker& asker) {
  const double which = asker.random.uniform();
  const Direction direction = kDirections[asker.random.below(4)];
  if (which < 0.3) return ask_farthest(asker, direction);
  const std::optional<int> from = asker.any_lone_object();
  if (!from) return std::nullopt;
  return which < 0.75 ? ask_towards(asker, *from, direction) : ask_nearest(asker, *from);
}

}  // namespace

std::optional<Turn> ask_relation(const Asker& asker) {
  if (asker.scene.objects.size() < 2) return std::nullopt;
  std::optional<Turn> turn;
  for (int attempt = 0; attempt < 6 && !turn; ++attempt) turn = try_relation(asker);
  return turn;
}

std::optional<Turn> ask_yes_no(const Asker& asker) {
  const double which = asker.random.uniform();
  if (which < 0.55) return is_there_kind(asker);
  if (which < 0.7) return is_there_category(asker);
  if (which < 0.77) return is_there_word(asker);
  return is_it_towards(asker);
}

}  // namespace nuri
