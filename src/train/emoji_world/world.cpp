#include "train/emoji_world/world.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/error.h"
#include "base/random.h"
#include "train/emoji_world/fonts.h"
#include "train/emoji_world/freetype.h"
#include "train/emoji_world/utf8.h"
#include "train/emoji_world/words.h"

namespace nuri {
namespace {

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

const Annotation& annotation_of(const Annotations& all, char32_t code, Language language) {
  const auto found = all.find(encode_utf8(code));
  if (found == all.end() || found->second.spoken.empty()) {
    throw Error(ErrorKind::format,
                fmt::format("CLDR annotations ({}): U+{:04X}: found no spoken name, expected one",
                            language == Language::english ? "en" : "ko", static_cast<uint32_t>(code)));
  }
  return found->second;
}

void name_object(WorldObject& object, const ObjectEntry& entry, const Annotation& en, const Annotation& ko) {
  object.words_en.name = *entry.name_en ? entry.name_en : lower_case(en.spoken);
  object.words_ko.name = *entry.name_ko ? entry.name_ko : ko.spoken;
  // Korean says "frog face" where English says "frog".
  constexpr std::string_view kFace = " 얼굴";
  if (ends_with(object.words_ko.name, kFace) && !ends_with(en.spoken, " face")) {
    object.words_ko.name.resize(object.words_ko.name.size() - kFace.size());
  }
  for (const std::string& keyword : en.keywords) object.words_en.keywords.push_back(lower_case(keyword));
  object.words_ko.keywords = ko.keywords;
}

// A keyword may ask for an object when it belongs to that object alone and is no other's name.
void find_synonyms(std::vector<WorldObject>& objects, Language language) {
  std::map<std::string, std::set<int>> owners;
  auto words_of = [&](int i) -> ObjectWords& {
    return language == Language::english ? objects[i].words_en : objects[i].words_ko;
  };
  for (int i = 0; i < int(objects.size()); ++i) {
    owners[words_of(i).name].insert(i);
    for (const std::string& keyword : words_of(i).keywords) owners[keyword].insert(i);
  }
  for (int i = 0; i < int(objects.size()); ++i) {
    ObjectWords& words = words_of(i);
    for (const std::string& keyword : words.keywords) {
      if (keyword != words.name && owners[keyword].size() == 1 && may_stand_for_name(keyword, language)) {
        words.synonyms.push_back(keyword);
      }
    }
  }
}

std::vector<std::string> words_to_show(const std::vector<WorldObject>& objects, Language language) {
  std::set<std::string> words(everyday_words(language).begin(), everyday_words(language).end());
  for (const WorldObject& object : objects) {
    if (is_scene_word(object.name(language), language)) words.insert(object.name(language));
  }
  return {words.begin(), words.end()};
}

void check_names(const std::vector<WorldObject>& objects, Language language) {
  std::set<std::string> seen;
  for (const WorldObject& object : objects) {
    if (!seen.insert(object.name(language)).second) {
      throw Error(ErrorKind::format, fmt::format("CLDR annotations: two objects named \"{}\", expected distinct names",
                                                 object.name(language)));
    }
  }
}

}  // namespace

EmojiWorld EmojiWorld::load(const WorldOptions& options) {
  EmojiWorld world;
  const Annotations english = read_annotations(options.cldr, Language::english);
  const Annotations korean = read_annotations(options.cldr, Language::korean);
  const FreeTypeLibrary library = open_freetype();
  const FreeTypeFace face = open_face(library.get(), options.emoji_font, "fonts-noto-color-emoji");
  for (const ObjectEntry& entry : emoji_object_table(options.further)) {
    WorldObject object;
    object.code = entry.code;
    object.category = entry.category;
    name_object(object, entry, annotation_of(english, entry.code, Language::english),
                annotation_of(korean, entry.code, Language::korean));
    object.glyph = read_colour_glyph(face.get(), entry.code, options.emoji_font);
    world.objects_.push_back(std::move(object));
  }
  for (Language language : {Language::english, Language::korean}) {
    check_names(world.objects_, language);
    find_synonyms(world.objects_, language);
  }
  world.partners_.resize(world.objects_.size());
  for (int a = 0; a < world.size(); ++a) {
    for (int b = 0; b < world.size(); ++b) {
      if (world.held_out_pair(a, b)) world.partners_[a].push_back(b);
    }
  }
  world.scene_words_en_ = words_to_show(world.objects_, Language::english);
  world.scene_words_ko_ = words_to_show(world.objects_, Language::korean);
  world.fonts_ = std::make_shared<WordFonts>(options.fonts);
  return world;
}

int EmojiWorld::find(const std::string& name, Language language) const {
  const std::string wanted = lower_case(name);
  for (int i = 0; i < size(); ++i) {
    if (objects_[i].name(language) == wanted) return i;
  }
  return -1;
}

bool EmojiWorld::held_out_pair(char32_t a, char32_t b) {
  if (a == b) return false;
  if (a > b) std::swap(a, b);
  return CounterRandom(a, b).below(50) == 0;
}

}  // namespace nuri
