#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/box_notation.h"
#include "train/emoji_world/scene.h"
#include "train/emoji_world/world.h"

namespace nuri {

enum class Task { naming, counting, relations, yes_no, reading, boxes, caption };
constexpr int kTasks = 7;
constexpr std::array<std::string_view, kTasks> kTaskNames = {"naming",  "counting", "relations", "yes_no",
                                                             "reading", "boxes",    "caption"};
constexpr std::string_view task_name(Task task) { return kTaskNames[static_cast<size_t>(task)]; }

// One question about a scene and its answer, with what scoring compares.
struct Turn {
  std::string question, answer;
  Task task = Task::naming;
  Language language = Language::english;
  std::string topic;               // what is asked, apart from the phrasing: "left 12" for what is left of kind 12
  std::vector<std::string> names;  // naming, relations: the names that the answer gives; caption: its phrases
  int count = 0;                   // counting
  bool yes = false;                // yes_no
  std::vector<LabelledBox> boxes;  // boxes: pixels of the scene's picture
};

struct ConversationOptions {
  int min_turns = 10, max_turns = 14;  // fewer when a scene has not so much to ask
  double korean_share = 0.5;
  double synonym_share = 0.25;  // questions that use one of CLDR's keywords where the object has a fitting one
  // How often each task is asked, relative to the others; 0 leaves it out. Order of Task.
  std::array<double, kTasks> weights = {3, 2, 2, 2, 1.5, 3, 0.5};
};

// Different questions in random order, each language by its share; a pure function of its arguments. Questions
// about a word come only when the scene has one, relations only when they are beyond doubt.
// Throws Error(usage) when no weight is positive.
std::vector<Turn> make_conversation(const EmojiWorld& world, const Scene& scene, const ConversationOptions& options,
                                    uint64_t seed, uint64_t index);

// A name and what follows it at once: its box "12, 30, 44, 61", or "-" when the scene has no such thing.
struct Pointing {
  std::string name, answer;
};

// "12, 30, 44, 61"
std::string box_numbers(const Box& box);

// In both languages, each name that stands for one object of the scene, and a few that stand for none; a pure function
// of its arguments.
std::vector<Pointing> make_pointing(const EmojiWorld& world, const Scene& scene, uint64_t seed, uint64_t index);

}  // namespace nuri
