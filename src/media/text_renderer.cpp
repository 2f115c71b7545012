#include "media/text_renderer.h"

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H
#include <utf8proc.h>

#include <cmath>
#include <cstdlib>

#include "base/error.h"

namespace nuri {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kHangul = 0xAC00;  // the first syllable
constexpr double kMinSize = 1, kMaxSize = 2000;

// The code points of `text`, composed (NFC); control characters become spaces, broken bytes U+FFFD.
std::u32string code_points(std::string_view text) {
  std::vector<utf8proc_int32_t> points;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t point;
    utf8proc_ssize_t used = utf8proc_iterate(at, left, &point);
    if (used <= 0) used = 1, point = kReplacement;
    points.push_back(point < 0x20 || point == 0x7F ? ' ' : point);
    at += used, left -= used;
  }
  if (!points.empty()) {
    auto option = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    utf8proc_ssize_t count =
        utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()), option);
    points.resize(static_cast<size_t>(count));
  }
  return {points.begin(), points.end()};
}

std::vector<std::filesystem::path> existing(std::initializer_list<const char*> names) {
  std::vector<std::filesystem::path> found;
  for (const char* name : names) {
    auto path = std::filesystem::path("/usr/share/fonts") / name;
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) found.push_back(path);
  }
  return found;
}

}  // namespace

void blend_pixel(Image& image, int64_t x, int64_t y, const Color& color, double coverage) {
  if (x < 0 || y < 0 || x >= image.width || y >= image.height) return;
  double over = coverage * color.alpha / 255;
  if (over <= 0) return;
  uint8_t* pixel = image.row(y) + x * image.channels;
  const uint8_t source[3] = {color.red, color.green, color.blue};
  auto mix = [](double under, double above, double share) {
    return static_cast<uint8_t>(std::lround(under + (above - under) * share));
  };
  if (image.channels == 1) {
    pixel[0] = mix(pixel[0], 0.299 * source[0] + 0.587 * source[1] + 0.114 * source[2], over);
    return;
  }
  double share = over;
  if (image.channels == 4) {
    double alpha = over + pixel[3] / 255.0 * (1 - over);
    share = over / alpha;
    pixel[3] = static_cast<uint8_t>(std::lround(255 * alpha));
  }
  for (int c = 0; c < 3; ++c) pixel[c] = mix(pixel[c], source[c], share);
}

struct TextRenderer::Fonts {
  FT_Library library = nullptr;
  std::vector<FT_Face> faces;

  ~Fonts() {
    for (FT_Face face : faces) FT_Done_Face(face);
    if (library != nullptr) FT_Done_FreeType(library);
  }

  FT_Face face_with(char32_t character) const {
    for (FT_Face face : faces)
      if (FT_Get_Char_Index(face, character) != 0) return face;
    return faces.front();
  }

  // Calls visit(slot, x) for each glyph, its outline loaded and the pen at x; returns where the pen ends.
  template <class Visit>
  double for_each_glyph(std::string_view text, double size, Visit visit) const {
    if (!(size >= kMinSize && size <= kMaxSize))
      throw Error(ErrorKind::usage,
                  fmt::format("text size: found {}, expected {} to {} pixels", size, kMinSize, kMaxSize));
    double pen = 0;
    FT_Face before = nullptr;
    FT_UInt glyph_before = 0;
    for (char32_t character : code_points(text)) {
      FT_Face face = face_with(character);
      FT_UInt glyph = FT_Get_Char_Index(face, character);
      if (face != before) FT_Set_Char_Size(face, 0, static_cast<FT_F26Dot6>(std::lround(size * 64)), 72, 72);
      FT_Vector kerning{0, 0};
      if (face == before) FT_Get_Kerning(face, glyph_before, glyph, FT_KERNING_UNFITTED, &kerning);
      pen += static_cast<double>(kerning.x) / 64;
      before = face, glyph_before = glyph;
      // Light hinting snaps heights to the grid and leaves widths alone.
      if (FT_Load_Glyph(face, glyph, FT_LOAD_NO_BITMAP | FT_LOAD_TARGET_LIGHT) != 0) continue;
      visit(face->glyph, pen);
      pen += static_cast<double>(face->glyph->linearHoriAdvance) / 65536;
    }
    return pen;
  }
};

TextRenderer TextRenderer::with_system_fonts(bool bold) {
  std::vector<std::filesystem::path> fonts;
  if (const char* own = std::getenv("NURI_FONT"); own != nullptr && *own != '\0') fonts.emplace_back(own);
  auto found = bold ? existing({"truetype/nanum/NanumGothicBold.ttf", "truetype/nanum/NanumBarunGothicBold.ttf",
                                "opentype/noto/NotoSansCJK-Bold.ttc", "truetype/nanum/NanumGothic.ttf",
                                "opentype/noto/NotoSansCJK-Regular.ttc", "truetype/unfonts-core/UnDotumBold.ttf",
                                "truetype/baekmuk/dotum.ttf", "truetype/dejavu/DejaVuSans-Bold.ttf"})
                    : existing({"truetype/nanum/NanumGothic.ttf", "truetype/nanum/NanumBarunGothic.ttf",
                                "opentype/noto/NotoSansCJK-Regular.ttc", "truetype/unfonts-core/UnDotum.ttf",
                                "truetype/baekmuk/dotum.ttf", "truetype/dejavu/DejaVuSans.ttf"});
  fonts.insert(fonts.end(), found.begin(), found.end());
  if (!fonts.empty()) {
    TextRenderer renderer(fonts);
    if (renderer.has(kHangul)) return renderer;
  }
  throw Error(ErrorKind::resource,
              "fonts: found none with Hangul below /usr/share/fonts, expected Debian's fonts-nanum, or a font file "
              "named by NURI_FONT");
}

TextRenderer::TextRenderer(const std::vector<std::filesystem::path>& fonts) : fonts_(std::make_unique<Fonts>()) {
  if (fonts.empty()) throw Error(ErrorKind::usage, "fonts: found an empty list, expected at least one font file");
  if (FT_Init_FreeType(&fonts_->library) != 0) throw Error(ErrorKind::resource, "fonts: FreeType cannot start");
  for (const auto& path : fonts) {
    FT_Face face = nullptr;
    if (FT_New_Face(fonts_->library, path.c_str(), 0, &face) != 0)
      throw Error(ErrorKind::usage, fmt::format("{}: found no font that can be read, expected one", path.string()));
    fonts_->faces.push_back(face);
    if (!FT_IS_SCALABLE(face))
      throw Error(ErrorKind::usage, fmt::format("{}: found a font of bitmaps, expected outlines", path.string()));
  }
}

TextRenderer::~TextRenderer() = default;
TextRenderer::TextRenderer(TextRenderer&&) noexcept = default;
TextRenderer& TextRenderer::operator=(TextRenderer&&) noexcept = default;

bool TextRenderer::has(char32_t character) const {
  for (FT_Face face : fonts_->faces)
    if (FT_Get_Char_Index(face, character) != 0) return true;
  return false;
}

TextExtent TextRenderer::measure(std::string_view text, double size) const {
  TextExtent extent;
  bool inked = false;
  extent.width = fonts_->for_each_glyph(text, size, [&](FT_GlyphSlot slot, double pen) {
    FT_BBox box;
    FT_Outline_Get_CBox(&slot->outline, &box);
    if (box.xMin >= box.xMax) return;
    double left = pen + static_cast<double>(box.xMin) / 64, right = pen + static_cast<double>(box.xMax) / 64;
    double top = -static_cast<double>(box.yMax) / 64, bottom = -static_cast<double>(box.yMin) / 64;
    extent.left = inked ? std::min(extent.left, left) : left;
    extent.right = inked ? std::max(extent.right, right) : right;
    extent.top = inked ? std::min(extent.top, top) : top;
    extent.bottom = inked ? std::max(extent.bottom, bottom) : bottom;
    inked = true;
  });
  FT_Face face = fonts_->faces.front();
  double em = size / face->units_per_EM;
  extent.ascent = face->ascender * em;
  extent.descent = -face->descender * em;
  return extent;
}

void TextRenderer::draw(Image& image, std::string_view text, double x, double y, double size,
                        const Color& color) const {
  fonts_->for_each_glyph(text, size, [&](FT_GlyphSlot slot, double pen) {
    double at = x + pen, whole_x = std::floor(at), whole_y = std::floor(y);
    bool near = at > -2 * kMaxSize && at < static_cast<double>(image.width) + kMaxSize && y > -2 * kMaxSize &&
                y < static_cast<double>(image.height) + 2 * kMaxSize;
    if (!near) return;
    FT_Outline_Translate(&slot->outline, std::lround((at - whole_x) * 64), -std::lround((y - whole_y) * 64));
    if (FT_Render_Glyph(slot, FT_RENDER_MODE_NORMAL) != 0) return;
    const FT_Bitmap& bitmap = slot->bitmap;
    for (unsigned row = 0; row < bitmap.rows; ++row)
      for (unsigned column = 0; column < bitmap.width; ++column)
        blend_pixel(image, static_cast<int64_t>(whole_x) + slot->bitmap_left + column,
                    static_cast<int64_t>(whole_y) - slot->bitmap_top + row, color,
                    bitmap.buffer[static_cast<int64_t>(row) * bitmap.pitch + column] / 255.0);
  });
}

}  // namespace nuri
