#include "train/emoji_world/questions.h"

#include <algorithm>

#include <fmt/format.h>

#include "train/emoji_world/grammar.h"

namespace nuri {
namespace {

using Phrase = std::string_view;

std::string join(const std::vector<std::string>& parts, std::string_view last) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += i + 1 == parts.size() ? last : std::string_view(", ");
    text += parts[i];
  }
  return text;
}

std::optional<Turn> ask_corner(const Asker& asker) {
  static constexpr Phrase kPlacesEn[] = {"top left", "top right", "bottom left", "bottom right"};
  static constexpr Phrase kPlacesKo[] = {"왼쪽 위", "오른쪽 위", "왼쪽 아래", "오른쪽 아래"};
  static constexpr Phrase kEn[] = {"What is at the {p}?", "What is in the {p} corner?", "Name the object at the {p}.",
                                   "Which object is at the {p}?"};
  static constexpr Phrase kKo[] = {"{p}에 무엇이 있나요?", "{p}에 있는 것은 무엇인가요?", "{p}에는 뭐가 있어요?",
                                   "{p}에 있는 것의 이름을 말해 주세요."};
  const auto place = asker.random.below(4);
  const std::optional<int> found = in_corner(asker.scene, place & 1, place & 2);
  if (!found) return std::nullopt;
  const std::string where(asker.english() ? kPlacesEn[place] : kPlacesKo[place]);
  const std::string& name = asker.name(asker.kind(*found));
  Turn turn = asker.turn(Task::naming, fmt::format("corner {}", place),
                         fill_phrase(asker.one_of(kEn, kKo), {{'p', where}}), name);
  turn.names = {name};
  return turn;
}

// The kinds of the scene from left to right, each once, with their numbers.
std::vector<std::pair<int, int>> kinds_in_order(const Scene& scene) {
  std::vector<std::pair<int, int>> kinds;
  for (const PlacedObject& object : scene.objects) {
    auto same = std::find_if(kinds.begin(), kinds.end(), [&](const auto& k) { return k.first == object.object; });
    if (same == kinds.end()) {
      kinds.emplace_back(object.object, 1);
    } else {
      ++same->second;
    }
  }
  return kinds;
}

std::string counted(const std::string& name, int count, Language language) {
  if (language == Language::korean) return count == 1 ? name : name + " " + number_word(count, language);
  if (count == 1) return with_article(name);
  if (is_stuff(name))
    return count == 2 ? name + " twice" : fmt::format("{} {} times", name, number_word(count, language));
  return number_word(count, language) + " " + plural_of(name);
}

}  // namespace

std::string Asker::word_for(int kind) const {
  const std::vector<std::string>& synonyms = world.objects()[kind].words(language).synonyms;
  if (synonyms.empty() || !random.chance(options.synonym_share)) return name(kind);
  return synonyms[random.below(synonyms.size())];
}

std::vector<int> Asker::lone_objects() const {
  std::vector<int> alone;
  for (int i = 0; i < int(scene.objects.size()); ++i) {
    if (count_kind(scene, kind(i)) == 1 && !is_ambiguous(kind(i))) alone.push_back(i);
  }
  return alone;
}

std::optional<int> Asker::any_lone_object() const {
  const std::vector<int> alone = lone_objects();
  if (alone.empty()) return std::nullopt;
  return alone[random.below(alone.size())];
}

bool Asker::is_ambiguous(int kind) const {
  for (const PlacedObject& object : scene.objects) {
    if (object.object == kind) continue;
    for (Language each : {Language::english, Language::korean}) {
      const auto& keywords = world.objects()[object.object].words(each).keywords;
      if (std::find(keywords.begin(), keywords.end(), world.objects()[kind].name(each)) != keywords.end()) return true;
    }
  }
  return false;
}

int Asker::absent_kind() const {
  auto misleads = [&](int candidate) { return count_kind(scene, candidate) > 0 || is_ambiguous(candidate); };
  if (scene.word && random.chance(0.3)) {
    const int written = world.find(scene.word->text, scene.word->language);
    if (written >= 0 && !misleads(written)) return written;
  }
  const bool tempting = random.chance(0.6);
  const Category category = world.objects()[kind(any_object())].category;
  for (int attempt = 0; attempt < 400; ++attempt) {
    const int candidate = static_cast<int>(random.below(world.size()));
    if (tempting && attempt < 200 && world.objects()[candidate].category != category) continue;
    if (!misleads(candidate)) return candidate;
  }
  for (int candidate = 0; candidate < world.size(); ++candidate) {
    if (!misleads(candidate)) return candidate;
  }
  return 0;
}

Turn Asker::turn(Task task, std::string topic, std::string question, std::string answer) const {
  Turn turn;
  turn.topic = std::move(topic);
  turn.question = std::move(question), turn.answer = std::move(answer);
  turn.task = task, turn.language = language;
  return turn;
}

int count_category(const Asker& asker, Category category) {
  return static_cast<int>(std::count_if(
      asker.scene.objects.begin(), asker.scene.objects.end(),
      [&](const PlacedObject& object) { return asker.world.objects()[object.object].category == category; }));
}

std::optional<CategoryWord> any_category(const Asker& asker) {
  static constexpr CategoryWord kWords[] = {{Category::animal, "animal", "animals", "동물"},
                                            {Category::fruit, "fruit", "fruits", "과일"},
                                            {Category::vegetable, "vegetable", "vegetables", "채소"},
                                            {Category::vehicle, "vehicle", "vehicles", "탈것"},
                                            {Category::instrument, "instrument", "instruments", "악기"}};
  CategoryWord word = kWords[asker.random.below(std::size(kWords))];
  for (const CategoryWord& other : kWords) {  // rather one that is there
    if (asker.random.chance(0.5) && count_category(asker, other.category) > 0) word = other;
  }
  for (const PlacedObject& placed : asker.scene.objects) {
    const WorldObject& object = asker.world.objects()[placed.object];
    if (object.category == word.category) continue;
    for (Language language : {Language::english, Language::korean}) {
      const auto& keywords = object.words(language).keywords;
      const std::string_view said = language == Language::english ? word.english : word.korean;
      if (std::find(keywords.begin(), keywords.end(), said) != keywords.end()) return std::nullopt;
    }
  }
  return word;
}

std::optional<Turn> ask_naming(const Asker& asker) {
  static constexpr Phrase kEn[] = {"What is in the picture?",   "What is in this picture?",
                                   "What do you see?",          "What is here?",
                                   "Name the objects you see.", "List everything in the picture.",
                                   "Which objects are there?",  "Name all objects from left to right."};
  static constexpr Phrase kKo[] = {"그림에 무엇이 있나요?",
                                   "이 그림에 무엇이 있나요?",
                                   "무엇이 보이나요?",
                                   "여기에 뭐가 있어요?",
                                   "보이는 것을 모두 말해 주세요.",
                                   "어떤 것들이 있나요?",
                                   "왼쪽부터 이름을 모두 말해 주세요."};
  if (asker.scene.objects.size() > 1 && asker.random.chance(0.4)) return ask_corner(asker);
  std::vector<std::string> names;
  for (const PlacedObject& object : asker.scene.objects) names.push_back(asker.name(object.object));
  Turn turn = asker.turn(Task::naming, "all", std::string(asker.one_of(kEn, kKo)), join(names, ", "));
  turn.names = std::move(names);
  return turn;
}

std::optional<Turn> ask_counting(const Asker& asker) {
  static constexpr Phrase kAllEn[] = {"How many objects are there?", "How many things do you see?",
                                      "Count the objects.", "How many objects are in the picture?"};
  static constexpr Phrase kAllKo[] = {"그림에 모두 몇 개가 있나요?", "몇 개가 보이나요?", "모두 몇 개예요?",
                                      "그림에 있는 것의 수를 세어 주세요."};
  static constexpr Phrase kManyEn[] = {"How many {x:s} are there?", "How many {x:s} do you see?", "Count the {x:s}.",
                                       "How many {x:s} are in the picture?"};
  static constexpr Phrase kStuffEn[] = {"How many pictures of {x} are there?", "How many times do you see {x}?",
                                        "Count the pictures of {x}."};
  static constexpr Phrase kThingsKo[] = {"{x:은} 몇 개 있나요?", "{x:이} 몇 개 보이나요?", "{x}의 수를 세어 주세요.",
                                         "그림에 {x:이} 몇 개 있어요?"};
  static constexpr Phrase kAnimalsKo[] = {"{x:은} 몇 마리 있나요?", "{x:이} 몇 마리 보이나요?",
                                          "{x}의 수를 세어 주세요.", "그림에 {x:이} 몇 마리 있어요?"};
  static constexpr Phrase kNone[] = {""};
  std::string question, topic;
  int count = 0;
  const double which = asker.random.uniform();
  if (which < 0.4) {
    count = static_cast<int>(asker.scene.objects.size());
    topic = "all";
    question = asker.one_of(kAllEn, kAllKo);
  } else if (which < 0.85) {
    const int kind = asker.random.chance(0.25) ? asker.absent_kind() : asker.kind(asker.any_object());
    if (asker.is_ambiguous(kind)) return std::nullopt;
    const std::string word = asker.word_for(kind);
    const bool animal = asker.world.objects()[kind].category == Category::animal;
    count = count_kind(asker.scene, kind);
    topic = fmt::format("kind {}", kind);
    const Phrase phrase = asker.english()
                              ? (is_stuff(word) ? asker.one_of(kStuffEn, kNone) : asker.one_of(kManyEn, kNone))
                              : (animal ? asker.one_of(kNone, kAnimalsKo) : asker.one_of(kNone, kThingsKo));
    question = fill_phrase(phrase, {{'x', word}});
  } else {
    const std::optional<CategoryWord> word = any_category(asker);
    if (!word) return std::nullopt;
    count = count_category(asker, word->category);
    topic = fmt::format("category {}", word->english);
    const Phrase phrase =
        word->category == Category::animal ? asker.one_of(kManyEn, kAnimalsKo) : asker.one_of(kManyEn, kThingsKo);
    question = fill_phrase(phrase, {{'x', std::string(asker.english() ? word->english : word->korean)}});
  }
  Turn turn = asker.turn(Task::counting, std::move(topic), std::move(question), fmt::format("{}", count));
  turn.count = count;
  return turn;
}

std::optional<Turn> ask_reading(const Asker& asker) {
  static constexpr Phrase kEn[] = {"What does the word say?", "What word is written?", "Read the word.",
                                   "What is written in the picture?"};
  static constexpr Phrase kKo[] = {"무슨 글자가 쓰여 있나요?", "글자를 읽어 주세요.", "적힌 단어는 무엇인가요?",
                                   "그림에 뭐라고 쓰여 있어요?"};
  if (!asker.scene.word) return std::nullopt;
  return asker.turn(Task::reading, "word", std::string(asker.one_of(kEn, kKo)), asker.scene.word->text);
}

std::optional<Turn> ask_boxes(const Asker& asker) {
  static constexpr Phrase kOneEn[] = {"Where {x:be} the {x}?", "Find the {x}.", "Locate the {x}.",
                                      "Give the box of the {x}."};
  static constexpr Phrase kOneKo[] = {"{x:은} 어디에 있나요?", "{x:을} 찾아 주세요.", "{x}의 위치를 알려 주세요.",
                                      "{x:이} 있는 곳을 상자로 알려 주세요."};
  static constexpr Phrase kManyEn[] = {"Where are the {x:s}?", "Find all {x:s}.", "Locate all {x:s}.",
                                       "Give the boxes of the {x:s}."};
  static constexpr Phrase kManyKo[] = {"{x:은} 어디어디에 있나요?", "{x:을} 모두 찾아 주세요.",
                                       "{x}의 위치를 모두 알려 주세요."};
  static constexpr Phrase kAllEn[] = {"Locate every object.", "Find all objects.", "Where is everything?",
                                      "What is in this picture, and where?"};
  static constexpr Phrase kAllKo[] = {"모두 찾아 주세요.", "모든 것의 위치를 알려 주세요.",
                                      "무엇이 어디에 있는지 모두 알려 주세요.", "이 그림에 무엇이 어디에 있나요?"};
  const bool all = asker.random.chance(0.2);
  const int kind = asker.kind(asker.any_object());
  if (!all && asker.is_ambiguous(kind)) return std::nullopt;
  Turn turn = asker.turn(Task::boxes, all ? "all" : fmt::format("kind {}", kind), "", "");
  for (const PlacedObject& object : asker.scene.objects) {
    if (!all && object.object != kind) continue;
    const Box& box = object.box;
    turn.boxes.push_back({asker.name(object.object), double(box.x1), double(box.y1), double(box.x2), double(box.y2)});
  }
  const std::string word = all ? std::string() : asker.word_for(kind);
  const Phrase phrase = all                      ? asker.one_of(kAllEn, kAllKo)
                        : turn.boxes.size() == 1 ? asker.one_of(kOneEn, kOneKo)
                                                 : asker.one_of(kManyEn, kManyKo);
  turn.question = fill_phrase(phrase, {{'x', word}});
  turn.answer = format_boxes(turn.boxes);
  return turn;
}

std::optional<Turn> ask_caption(const Asker& asker) {
  static constexpr Phrase kEn[] = {"Describe the picture.", "Write a caption.", "What does the picture show?"};
  static constexpr Phrase kKo[] = {"그림을 설명해 주세요.", "그림의 제목을 지어 주세요.", "무엇을 그린 그림인가요?"};
  std::vector<std::string> parts;
  Turn turn = asker.turn(Task::caption, "all", std::string(asker.one_of(kEn, kKo)), "");
  for (auto [kind, count] : kinds_in_order(asker.scene)) {
    parts.push_back(counted(asker.name(kind), count, asker.language));
  }
  turn.names = parts;
  if (asker.scene.word) {
    const std::string quoted = "\"" + asker.scene.word->text + "\"";
    parts.push_back(asker.english() ? "the word " + quoted : "글자 " + quoted);
  }
  turn.answer = join(parts, asker.english() ? " and " : ", ");
  if (asker.english() && turn.answer[0] >= 'a') turn.answer[0] = static_cast<char>(turn.answer[0] - 'a' + 'A');
  turn.answer += ".";
  return turn;
}

}  // namespace nuri
