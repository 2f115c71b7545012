#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/error.h"
#include "train/emoji_world/freetype.h"

namespace nuri {
namespace {

constexpr int kLevels = 5;
constexpr int kOpaque = 96;

using Point = std::pair<float, float>;

// Andrew's monotone chain.
std::vector<Point> convex_hull(std::vector<Point> points) {
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  std::vector<Point> hull;
  auto turns_right = [&hull](const Point& c) {
    const Point &a = hull[hull.size() - 2], &b = hull.back();
    return (b.first - a.first) * (c.second - a.second) - (b.second - a.second) * (c.first - a.first) <= 0;
  };
  for (int pass = 0; pass < 2; ++pass) {
    size_t start = hull.size();
    for (const Point& point : points) {
      while (hull.size() >= start + 2 && turns_right(point)) hull.pop_back();
      hull.push_back(point);
    }
    hull.pop_back();
    std::reverse(points.begin(), points.end());
  }
  return hull;
}

GlyphLevel level_of(const FT_Bitmap& bitmap) {
  GlyphLevel level;
  level.width = static_cast<int>(bitmap.width) + 2 * kGlyphBorder;
  level.height = static_cast<int>(bitmap.rows) + 2 * kGlyphBorder;
  level.pixels.assign(size_t(level.width) * level.height * 4, 0);
  for (unsigned y = 0; y < bitmap.rows; ++y) {
    const uint8_t* from = bitmap.buffer + ptrdiff_t(y) * bitmap.pitch;
    uint8_t* to = level.pixels.data() + (size_t(y + kGlyphBorder) * level.width + kGlyphBorder) * 4;
    for (unsigned x = 0; x < bitmap.width; ++x, from += 4, to += 4) {
      to[0] = from[2], to[1] = from[1], to[2] = from[0], to[3] = from[3];
    }
  }
  return level;
}

// Averages of two by two pixels; premultiplied colours may be averaged as they are.
GlyphLevel half_of(const GlyphLevel& fine) {
  GlyphLevel half;
  const int inner_width = fine.width - 2 * kGlyphBorder, inner_height = fine.height - 2 * kGlyphBorder;
  const int width = (inner_width + 1) / 2, height = (inner_height + 1) / 2;
  half.width = width + 2 * kGlyphBorder, half.height = height + 2 * kGlyphBorder;
  half.pixels.assign(size_t(half.width) * half.height * 4, 0);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const uint8_t* a = &fine.pixels[(size_t(2 * y + kGlyphBorder) * fine.width + 2 * x + kGlyphBorder) * 4];
      const uint8_t* b = a + size_t(fine.width) * 4;
      uint8_t* to = &half.pixels[(size_t(y + kGlyphBorder) * half.width + x + kGlyphBorder) * 4];
      for (int c = 0; c < 4; ++c) to[c] = static_cast<uint8_t>((a[c] + a[c + 4] + b[c] + b[c + 4] + 2) / 4);
    }
  }
  return half;
}

void measure(Glyph& glyph) {
  const GlyphLevel& level = glyph.levels[0];
  std::vector<Point> corners;
  double sum[3] = {0, 0, 0}, count = 0;
  for (int y = 0; y < level.height; ++y) {
    int first = -1, last = -1;
    for (int x = 0; x < level.width; ++x) {
      const uint8_t* pixel = &level.pixels[(size_t(y) * level.width + x) * 4];
      if (pixel[3] < kOpaque) continue;
      if (first < 0) first = x;
      last = x;
      for (int c = 0; c < 3; ++c) sum[c] += pixel[c] * 255.0 / pixel[3];
      ++count;
    }
    if (first < 0) continue;
    for (int dy = 0; dy < 2; ++dy) {
      corners.emplace_back(first - kGlyphBorder, y + dy - kGlyphBorder);
      corners.emplace_back(last + 1 - kGlyphBorder, y + dy - kGlyphBorder);
    }
  }
  if (corners.empty()) return;
  glyph.hull = convex_hull(std::move(corners));
  glyph.x1 = glyph.y1 = 1e9f, glyph.x2 = glyph.y2 = -1e9f;
  for (auto [x, y] : glyph.hull) {
    glyph.x1 = std::min(glyph.x1, x), glyph.x2 = std::max(glyph.x2, x);
    glyph.y1 = std::min(glyph.y1, y), glyph.y2 = std::max(glyph.y2, y);
  }
  for (int c = 0; c < 3; ++c) glyph.mean[c] = static_cast<uint8_t>(std::min(255.0, sum[c] / count));
}

}  // namespace

FreeTypeLibrary open_freetype() {
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) throw Error(ErrorKind::internal, "FreeType: initialisation failed");
  return FreeTypeLibrary(library);
}

FreeTypeFace open_face(FT_Library library, const std::filesystem::path& file, const std::string& package) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no such file, expected the font of Debian's package {}", file.string(), package));
  }
  FT_Face face = nullptr;
  if (FT_New_Face(library, file.c_str(), 0, &face) != 0) {
    throw Error(ErrorKind::format, fmt::format("{}: not a font that FreeType can read", file.string()));
  }
  return FreeTypeFace(face);
}

Glyph read_colour_glyph(FT_Face face, char32_t code, const std::filesystem::path& file) {
  auto fail = [&](const char* found) {
    throw Error(ErrorKind::format, fmt::format("{}: U+{:04X}: found {}, expected a colour bitmap", file.string(),
                                               static_cast<uint32_t>(code), found));
  };
  const FT_UInt index = FT_Get_Char_Index(face, code);
  if (index == 0) fail("no glyph");
  if (face->num_fixed_sizes < 1 || FT_Select_Size(face, 0) != 0) fail("a font without bitmap sizes");
  if (FT_Load_Glyph(face, index, FT_LOAD_COLOR) != 0) fail("a glyph that does not load");
  const FT_Bitmap& bitmap = face->glyph->bitmap;
  if (face->glyph->format != FT_GLYPH_FORMAT_BITMAP || bitmap.pixel_mode != FT_PIXEL_MODE_BGRA) {
    fail("a glyph without colours");
  }
  if (bitmap.width < 8 || bitmap.rows < 8 || bitmap.width > 1024 || bitmap.rows > 1024) fail("an odd bitmap size");
  Glyph glyph;
  glyph.levels.push_back(level_of(bitmap));
  while (glyph.levels.size() < kLevels) glyph.levels.push_back(half_of(glyph.levels.back()));
  measure(glyph);
  if (glyph.hull.size() < 3) fail("an empty bitmap");
  return glyph;
}

}  // namespace nuri
