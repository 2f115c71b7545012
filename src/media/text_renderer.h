#pragma once

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "media/image.h"

namespace nuri {

struct Color {
  uint8_t red = 0, green = 0, blue = 0, alpha = 255;
  bool operator==(const Color&) const = default;
};

// Lays `color`, of which `coverage` (0 to 1) is present, over a pixel of `image`; outside it, nothing happens.
void blend_pixel(Image& image, int64_t x, int64_t y, const Color& color, double coverage = 1);

// The size of a line of text in pixels. The pen starts at (0, 0) on the baseline; y grows downwards.
struct TextExtent {
  double width = 0;                                 // the pen's way
  double ascent = 0, descent = 0;                   // of the font, above and below the baseline
  double left = 0, top = 0, right = 0, bottom = 0;  // around the ink; all 0 without ink
};

// Draws single lines of UTF-8 text, antialiased (FreeType). Each character comes from the first font that has it;
// decomposed Hangul and accents are composed first. Not shaped: fit for Latin, Hangul, Kana, Han, Cyrillic.
// One thread at a time may use a renderer.
class TextRenderer {
 public:
  // The first font found of Debian's fonts-nanum, fonts-noto-cjk and others that has Hangul, then DejaVu Sans for
  // further characters. The environment variable NURI_FONT puts a font file before them.
  // Throws Error(resource) when no font with Hangul is installed.
  static TextRenderer with_system_fonts(bool bold = false);

  // Throws Error(usage) for a file that is no font.
  explicit TextRenderer(const std::vector<std::filesystem::path>& fonts);
  ~TextRenderer();
  TextRenderer(TextRenderer&&) noexcept;
  TextRenderer& operator=(TextRenderer&&) noexcept;

  // `size` is the em in pixels, 1 to 2000. Throws Error(usage) beyond.
  TextExtent measure(std::string_view text, double size) const;
  // The pen starts at (x, y) on the baseline. What lies outside the picture is not drawn.
  void draw(Image& image, std::string_view text, double x, double y, double size, const Color& color) const;

  // Whether a font has this character.
  bool has(char32_t character) const;

 private:
  struct Fonts;
  std::unique_ptr<Fonts> fonts_;
};

}  // namespace nuri
