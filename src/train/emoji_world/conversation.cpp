#include "train/emoji_world/conversation.h"

#include <algorithm>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "base/error.h"
#include "base/random.h"
#include "train/emoji_world/questions.h"

namespace nuri {
namespace {

constexpr uint64_t kStream = 0xC0417E45A7104Cu;  // apart from the scenes' random numbers

std::optional<Turn> ask(const Asker& asker, Task task) {
  switch (task) {
    case Task::naming:
      return ask_naming(asker);
    case Task::counting:
      return ask_counting(asker);
    case Task::relations:
      return ask_relation(asker);
    case Task::yes_no:
      return ask_yes_no(asker);
    case Task::reading:
      return ask_reading(asker);
    case Task::boxes:
      return ask_boxes(asker);
    default:
      return ask_caption(asker);
  }
}

}  // namespace

std::vector<Turn> make_conversation(const EmojiWorld& world, const Scene& scene, const ConversationOptions& options,
                                    uint64_t seed, uint64_t index) {
  const double total = std::accumulate(options.weights.begin(), options.weights.end(), 0.0);
  if (!(total > 0) || std::any_of(options.weights.begin(), options.weights.end(), [](double w) { return w < 0; })) {
    throw Error(ErrorKind::usage, "emoji world conversation: weights: expected none below zero and one above");
  }
  if (options.min_turns < 1) {
    throw Error(ErrorKind::usage,
                fmt::format("emoji world conversation: turns: found {}, expected 1 or more", options.min_turns));
  }
  CounterRandom random(seed ^ kStream, index);
  const auto wanted =
      static_cast<size_t>(random.between(options.min_turns, std::max(options.min_turns, options.max_turns)));
  std::vector<Turn> turns;
  std::set<std::string> asked;
  for (size_t attempt = 0; attempt < 12 * wanted && turns.size() < wanted; ++attempt) {
    double at = random.uniform() * total;
    int task = 0;
    while (task + 1 < kTasks && at >= options.weights[task]) at -= options.weights[task++];
    const bool english = !random.chance(options.korean_share);
    const Asker asker{world, scene, options, random, english ? Language::english : Language::korean};
    std::optional<Turn> turn = ask(asker, static_cast<Task>(task));
    if (!turn) continue;
    const std::string topic = fmt::format("{} {} {}", task, english ? "en" : "ko", turn->topic);
    if (asked.insert(topic).second) turns.push_back(std::move(*turn));
  }
  return turns;
}

std::string box_numbers(const Box& box) { return fmt::format("{}, {}, {}, {}", box.x1, box.y1, box.x2, box.y2); }

std::vector<Pointing> make_pointing(const EmojiWorld& world, const Scene& scene, uint64_t seed, uint64_t index) {
  constexpr int kAbsentNames = 2;  // in each language
  CounterRandom random(seed + 2, index);
  const ConversationOptions options;
  std::vector<Pointing> all;
  for (Language language : {Language::english, Language::korean}) {
    const Asker asker{world, scene, options, random, language};
    for (int object : asker.lone_objects()) {
      const Box& box = scene.objects[object].box;
      all.push_back({asker.name(asker.kind(object)), box_numbers(box)});
    }
    for (int i = 0; i < kAbsentNames; ++i) all.push_back({asker.name(asker.absent_kind()), "-"});
  }
  return all;
}

}  // namespace nuri
