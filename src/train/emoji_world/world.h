#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "train/emoji_world/objects.h"

namespace nuri {

class WordFonts;

enum class Language { english, korean };

// Where the emoji world comes from; the defaults are Debian's fonts-noto-color-emoji, unicode-cldr-core,
// fonts-nanum and fonts-dejavu-core.
struct WorldOptions {
  std::filesystem::path emoji_font = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf";
  std::filesystem::path cldr = "/usr/share/unicode/cldr/common";
  std::filesystem::path fonts = "/usr/share/fonts/truetype";
  bool further = false;  // see emoji_object_table
};

// A picture in premultiplied RGBA with two transparent pixels around it, and its halves, quarters, ...
struct GlyphLevel {
  int width = 0, height = 0;    // with the border
  std::vector<uint8_t> pixels;  // [height, width, 4]
};
constexpr int kGlyphBorder = 2;

struct Glyph {
  std::vector<GlyphLevel> levels;
  // Convex hull of the opaque pixels' corners and their bounding box, in pixels of level 0 without the border.
  std::vector<std::pair<float, float>> hull;
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  uint8_t mean[3] = {0, 0, 0};  // colour, averaged over the opaque pixels
};

// Words for one object in one language.
struct ObjectWords {
  std::string name;                   // distinct in the world
  std::vector<std::string> keywords;  // all of CLDR's, the name too
  std::vector<std::string> synonyms;  // keywords that mean this object alone, without the name
};

struct WorldObject {
  char32_t code = 0;
  Category category = Category::thing;
  ObjectWords words_en, words_ko;
  Glyph glyph;

  const ObjectWords& words(Language language) const { return language == Language::english ? words_en : words_ko; }
  const std::string& name(Language language) const { return words(language).name; }
};

// The objects, their pictures and names, and the words that scenes show. Immutable after load, so any number of
// threads may make scenes from one world.
class EmojiWorld {
 public:
  // Throws Error(usage) with the file and the Debian package when a source is missing, Error(format) when it
  // lacks an object's name or picture.
  static EmojiWorld load(const WorldOptions& options = {});

  const std::vector<WorldObject>& objects() const { return objects_; }
  int size() const { return static_cast<int>(objects_.size()); }
  // -1 when no object has this name; ASCII letters match in either case.
  int find(const std::string& name, Language language) const;

  // Whether two different kinds appear together in held-out scenes only: a rule on code points that takes
  // one pair in fifty.
  static bool held_out_pair(char32_t a, char32_t b);
  bool held_out_pair(int a, int b) const { return held_out_pair(objects_[a].code, objects_[b].code); }
  const std::vector<int>& held_out_partners(int object) const { return partners_[object]; }

  // What scenes may show: English words of 2 to 6 small letters, Korean words of 1 to 3 syllables.
  const std::vector<std::string>& scene_words(Language language) const {
    return language == Language::english ? scene_words_en_ : scene_words_ko_;
  }
  const WordFonts& fonts() const { return *fonts_; }

 private:
  std::vector<WorldObject> objects_;
  std::vector<std::vector<int>> partners_;
  std::vector<std::string> scene_words_en_, scene_words_ko_;
  std::shared_ptr<const WordFonts> fonts_;
};

}  // namespace nuri
