#include "train/emoji_world/fonts.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "base/error.h"
#include "train/emoji_world/freetype.h"
#include "train/emoji_world/utf8.h"

namespace nuri {
namespace {

struct FontFile {
  const char* path;
  const char* package;
  bool korean;  // whether Korean words are written with it too
};

constexpr FontFile kFonts[] = {
    {"nanum/NanumGothic.ttf", "fonts-nanum", true},
    {"nanum/NanumGothicBold.ttf", "fonts-nanum", true},
    {"nanum/NanumBarunGothicBold.ttf", "fonts-nanum", true},
    {"nanum/NanumMyeongjoBold.ttf", "fonts-nanum", true},
    {"nanum/NanumSquareRoundB.ttf", "fonts-nanum", true},
    {"dejavu/DejaVuSans.ttf", "fonts-dejavu-core", false},
    {"dejavu/DejaVuSans-Bold.ttf", "fonts-dejavu-core", false},
    {"dejavu/DejaVuSerif.ttf", "fonts-dejavu-core", false},
    {"dejavu/DejaVuSerif-Bold.ttf", "fonts-dejavu-core", false},
    {"dejavu/DejaVuSansMono-Bold.ttf", "fonts-dejavu-core", false},
};

// One drawn letter and where its upper left pixel stands, y downwards.
struct Letter {
  int left, top, width, height;
  std::vector<uint8_t> coverage;
};

std::vector<Letter> draw_letters(FT_Face face, const std::u32string& text, double radians) {
  const FT_Fixed cosine = std::lround(std::cos(radians) * 65536), sine = std::lround(std::sin(radians) * 65536);
  FT_Matrix matrix{cosine, -sine, sine, cosine};
  FT_Vector pen{0, 0};
  std::vector<Letter> letters;
  for (char32_t code : text) {
    FT_Set_Transform(face, &matrix, &pen);
    if (FT_Load_Char(face, code, FT_LOAD_RENDER | FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP) != 0) continue;
    const FT_GlyphSlot slot = face->glyph;
    pen.x += slot->advance.x, pen.y += slot->advance.y;
    const FT_Bitmap& bitmap = slot->bitmap;
    if (bitmap.pixel_mode != FT_PIXEL_MODE_GRAY || bitmap.rows == 0) continue;
    Letter letter{slot->bitmap_left, -slot->bitmap_top, int(bitmap.width), int(bitmap.rows), {}};
    for (unsigned y = 0; y < bitmap.rows; ++y) {
      const uint8_t* row = bitmap.buffer + ptrdiff_t(y) * bitmap.pitch;
      letter.coverage.insert(letter.coverage.end(), row, row + bitmap.width);
    }
    letters.push_back(std::move(letter));
  }
  return letters;
}

}  // namespace

struct WordFonts::Faces {
  FreeTypeLibrary library;
  std::vector<FreeTypeFace> all, korean;
  std::mutex mutex;
};

WordFonts::WordFonts(const std::filesystem::path& folder) : faces_(std::make_unique<Faces>()) {
  faces_->library = open_freetype();
  for (const FontFile& font : kFonts) {
    faces_->all.push_back(open_face(faces_->library.get(), folder / font.path, font.package));
    if (font.korean) {
      faces_->korean.push_back(open_face(faces_->library.get(), folder / font.path, font.package));
    }
  }
}

WordFonts::~WordFonts() = default;

int WordFonts::count(Language language) const {
  return static_cast<int>(language == Language::english ? faces_->all.size() : faces_->korean.size());
}

WordMask WordFonts::draw(const std::string& text, Language language, int index, double pixels, double radians) const {
  std::vector<Letter> letters;
  {
    std::lock_guard lock(faces_->mutex);
    const auto& faces = language == Language::english ? faces_->all : faces_->korean;
    FT_Face face = faces.at(index).get();
    if (FT_Set_Char_Size(face, 0, std::lround(pixels * 64), 72, 72) != 0) {
      throw Error(ErrorKind::internal, "FreeType: a font does not scale");
    }
    letters = draw_letters(face, decode_utf8(text), radians);
  }
  WordMask mask;
  if (letters.empty()) return mask;
  int x1 = letters[0].left, y1 = letters[0].top, x2 = x1, y2 = y1;
  for (const Letter& letter : letters) {
    x1 = std::min(x1, letter.left), x2 = std::max(x2, letter.left + letter.width);
    y1 = std::min(y1, letter.top), y2 = std::max(y2, letter.top + letter.height);
  }
  mask.width = x2 - x1, mask.height = y2 - y1;
  mask.coverage.assign(size_t(mask.width) * mask.height, 0);
  for (const Letter& letter : letters) {
    for (int y = 0; y < letter.height; ++y) {
      uint8_t* to = &mask.coverage[size_t(y + letter.top - y1) * mask.width + letter.left - x1];
      const uint8_t* from = &letter.coverage[size_t(y) * letter.width];
      for (int x = 0; x < letter.width; ++x) to[x] = std::max(to[x], from[x]);
    }
  }
  return mask;
}

}  // namespace nuri
