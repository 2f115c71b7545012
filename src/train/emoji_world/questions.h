#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "train/emoji_world/conversation.h"
#include "train/emoji_world/relations.h"

namespace nuri {

// What the makers of questions share: one scene, one language, one stream of random numbers.
struct Asker {
  const EmojiWorld& world;
  const Scene& scene;
  const ConversationOptions& options;
  CounterRandom& random;
  Language language;

  bool english() const { return language == Language::english; }
  // One of several phrasings.
  template <size_t N, size_t M>
  std::string_view one_of(const std::string_view (&in_english)[N], const std::string_view (&in_korean)[M]) const {
    return english() ? in_english[random.below(N)] : in_korean[random.below(M)];
  }
  int kind(int index) const { return scene.objects[index].object; }
  const std::string& name(int kind) const { return world.objects()[kind].name(language); }
  // The name of a kind, or now and then a synonym.
  std::string word_for(int kind) const;
  int any_object() const { return static_cast<int>(random.below(scene.objects.size())); }
  // Objects whose kind stands once in the scene and is not ambiguous, and one of them.
  std::vector<int> lone_objects() const;
  std::optional<int> any_lone_object() const;
  // Whether the kind's name may be said of another kind in the scene: "fish" of a tropical fish.
  bool is_ambiguous(int kind) const;
  // A kind that is not in the scene, likely one that tempts: of the same category, or what the written word says.
  int absent_kind() const;
  Turn turn(Task task, std::string topic, std::string question, std::string answer) const;
};

// A category that questions use; nothing when a present object belongs to it in one view and not in another.
struct CategoryWord {
  Category category;
  std::string_view english, english_plural, korean;
};
std::optional<CategoryWord> any_category(const Asker& asker);
int count_category(const Asker& asker, Category category);

// Each gives nothing when chance took it to a question that this scene does not allow.
std::optional<Turn> ask_naming(const Asker& asker);
std::optional<Turn> ask_counting(const Asker& asker);
std::optional<Turn> ask_relation(const Asker& asker);
std::optional<Turn> ask_yes_no(const Asker& asker);
std::optional<Turn> ask_reading(const Asker& asker);
std::optional<Turn> ask_boxes(const Asker& asker);
std::optional<Turn> ask_caption(const Asker& asker);

}  // namespace nuri
