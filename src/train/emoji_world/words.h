#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "train/emoji_world/world.h"

namespace nuri {

// CLDR's annotations of one language: what is said for an emoji, and its keywords.
struct Annotation {
  std::string spoken;
  std::vector<std::string> keywords;
};
using Annotations = std::map<std::string, Annotation>;  // by the emoji, without U+FE0F

// Reads annotations/<language>.xml below `cldr`. Throws Error(usage) when it is missing, Error(format) when
// it is no annotations file.
Annotations read_annotations(const std::filesystem::path& cldr, Language language);

// Whether a keyword is in the committed list of those that read well in the place of an object's name (CLDR has
// also moods, places and insults).
bool may_stand_for_name(std::string_view keyword, Language language);

// Everyday words for scenes to show besides the objects' names.
const std::vector<std::string>& everyday_words(Language language);
// English: 2 to 6 small letters; Korean: 1 to 3 syllables.
bool is_scene_word(std::string_view word, Language language);

}  // namespace nuri
