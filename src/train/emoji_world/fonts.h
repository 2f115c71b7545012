#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "train/emoji_world/world.h"

namespace nuri {

// Coverage of a drawn word, 0 to 255, cut to the pixels that it touches.
struct WordMask {
  int width = 0, height = 0;
  std::vector<uint8_t> coverage;  // [height, width]
};

// The fonts that scenes write words with. Thread-safe: FreeType's faces are used by one thread at a time.
class WordFonts {
 public:
  explicit WordFonts(const std::filesystem::path& folder);
  ~WordFonts();
  WordFonts(const WordFonts&) = delete;
  WordFonts& operator=(const WordFonts&) = delete;

  int count(Language language) const;
  // `text` (UTF-8) in font `index` of the language, `pixels` high (the font's em), turned by `radians` counter to
  // the clock.
  WordMask draw(const std::string& text, Language language, int index, double pixels, double radians) const;

 private:
  struct Faces;
  std::unique_ptr<Faces> faces_;
};

}  // namespace nuri
