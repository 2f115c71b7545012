#include "train/emoji_world/film_questions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "train/emoji_world/grammar.h"
#include "train/emoji_world/questions.h"
#include "train/emoji_world/score.h"

namespace nuri {
namespace {

using Phrase = std::string_view;

constexpr uint64_t kStream = 0xF11E0457A7104Cu;  // apart from the films' random numbers

LabelledBox labelled(const std::string& name, const Box& box) {
  return {name, double(box.x1), double(box.y1), double(box.x2), double(box.y2)};
}

FilmTurn ask_tracking(const Asker& asker, const Film& film, int object) {
  static constexpr Phrase kEn[] = {"Where {x:be} the {x} in each frame?", "Find the {x} in each frame.",
                                   "Locate the {x} in every frame.", "Give the box of the {x} in each frame."};
  static constexpr Phrase kKo[] = {"각 장면에서 {x:은} 어디에 있나요?", "각 장면에서 {x:을} 찾아 주세요.",
                                   "장면마다 {x}의 위치를 알려 주세요.",
                                   "장면마다 {x:이} 있는 곳을 상자로 알려 주세요."};
  const std::string& name = asker.name(asker.kind(object));
  Turn turn = asker.turn(Task::boxes, fmt::format("tracking {}", object),
                         fill_phrase(asker.one_of(kEn, kKo), {{'x', name}}), "");
  for (const Scene& frame : film.frames) turn.boxes.push_back(labelled(name, frame.objects[object].box));
  turn.answer = format_frame_boxes(turn.boxes);
  return {FilmTask::tracking, std::move(turn)};
}

FilmTurn ask_moving(const Asker& asker, const Film& film) {
  static constexpr Phrase kEn[] = {"What moves?", "What is moving?", "Which objects move?", "Name what moves."};
  static constexpr Phrase kKo[] = {"무엇이 움직이나요?", "움직이는 것은 무엇인가요?", "어떤 것이 움직여요?",
                                   "움직이는 것을 말해 주세요."};
  std::vector<std::string> names;
  for (int i = 0; i < int(film.headings.size()); ++i) {
    if (film.headings[i].moves()) names.push_back(asker.name(asker.kind(i)));
  }
  if (names.empty()) names.emplace_back(asker.english() ? "nothing" : "없음");
  Turn turn = asker.turn(Task::naming, "moving", std::string(asker.one_of(kEn, kKo)),
                         fmt::format("{}", fmt::join(names, ", ")));
  turn.names = std::move(names);
  return {FilmTask::moving, std::move(turn)};
}

FilmTurn ask_heading(const Asker& asker, const Film& film, int object) {
  static constexpr Phrase kEn[] = {"Which way {x:do} the {x} move?", "Which way {x:be} the {x} moving?",
                                   "Where {x:do} the {x} go?", "In which direction {x:do} the {x} move?"};
  static constexpr Phrase kKo[] = {"{x:은} 어느 쪽으로 움직이나요?", "{x:이} 어느 쪽으로 가나요?",
                                   "{x:은} 어디로 가나요?", "{x:은} 어느 방향으로 움직이나요?"};
  std::string way(heading_name(film.headings[object], asker.language));
  Turn turn = asker.turn(Task::naming, fmt::format("heading {}", object),
                         fill_phrase(asker.one_of(kEn, kKo), {{'x', asker.name(asker.kind(object))}}), way);
  turn.names = {std::move(way)};
  return {FilmTask::heading, std::move(turn)};
}

}  // namespace

std::string_view heading_name(const Heading& heading, Language language) {
  static constexpr std::string_view kNames[2][3][3] = {
      {{"up left", "up", "up right"}, {"left", "nowhere", "right"}, {"down left", "down", "down right"}},
      {{"왼쪽 위", "위", "오른쪽 위"}, {"왼쪽", "제자리", "오른쪽"}, {"왼쪽 아래", "아래", "오른쪽 아래"}}};
  return kNames[language == Language::korean][heading.y + 1][heading.x + 1];
}

std::string format_frame_boxes(const std::vector<LabelledBox>& boxes) {
  std::string text = "[";
  for (size_t i = 0; i < boxes.size(); ++i) {
    const std::string box = format_boxes({boxes[i]});  // [{...}]
    text += fmt::format("{}{{\"frame\": {}, {}", i > 0 ? ", " : "", i + 1, box.substr(2, box.size() - 3));
  }
  return text + "]";
}

std::vector<FilmTurn> make_film_conversation(const EmojiWorld& world, const Film& film,
                                             const FilmQuestionOptions& options, uint64_t seed, uint64_t index) {
  CounterRandom random(seed ^ kStream, index);
  const ConversationOptions plain;
  auto asker = [&] {
    const Language language = random.chance(options.korean_share) ? Language::korean : Language::english;
    return Asker{world, film.frames.front(), plain, random, language};
  };
  std::vector<int> objects = asker().lone_objects();
  random.shuffle(objects);
  objects.resize(std::min(objects.size(), static_cast<size_t>(std::max(options.objects, 0))));
  std::vector<FilmTurn> turns{ask_moving(asker(), film)};
  for (int object : objects) {
    turns.push_back(ask_tracking(asker(), film, object));
    turns.push_back(ask_heading(asker(), film, object));
  }
  random.shuffle(turns);
  return turns;
}

int count_tracked(const Turn& turn, std::string_view answer) {
  const std::vector<LabelledBox> found = parse_boxes(answer);
  int tracked = 0;
  for (size_t i = 0; i < std::min(found.size(), turn.boxes.size()); ++i) {
    Turn frame = turn;
    frame.boxes = {turn.boxes[i]};
    tracked += score_items(frame, format_boxes({found[i]})).found;
  }
  return tracked;
}

bool is_right(const FilmTurn& turn, std::string_view answer) {
  if (turn.task != FilmTask::tracking) return is_right(turn.turn, answer);
  return count_tracked(turn.turn, answer) == static_cast<int>(turn.turn.boxes.size()) &&
         parse_boxes(answer).size() == turn.turn.boxes.size();
}

std::vector<Pointing> make_film_pointing(const EmojiWorld& world, const Film& film, int frames, uint64_t seed,
                                         uint64_t index) {
  CounterRandom random(seed ^ ~kStream, index);
  const ConversationOptions plain;
  auto any_frame = [&] { return static_cast<size_t>(random.below(film.frames.size())); };
  std::vector<Pointing> all;
  for (Language language : {Language::english, Language::korean}) {
    const Asker asker{world, film.frames.front(), plain, random, language};
    for (int object : asker.lone_objects()) {
      for (int i = 0; i < frames; ++i) {
        const size_t frame = any_frame();
        const Box& box = film.frames[frame].objects[object].box;
        all.push_back({fmt::format("{} {}", frame + 1, asker.name(asker.kind(object))), box_numbers(box)});
      }
    }
    all.push_back({fmt::format("{} {}", any_frame() + 1, asker.name(asker.absent_kind())), "-"});
  }
  return all;
}

}  // namespace nuri
