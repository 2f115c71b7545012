#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <ft2build.h>
#include FT_FREETYPE_H

#include "train/emoji_world/world.h"

namespace nuri {

struct FreeTypeDeleter {
  void operator()(FT_Library library) const { FT_Done_FreeType(library); }
  void operator()(FT_Face face) const { FT_Done_Face(face); }
};
using FreeTypeLibrary = std::unique_ptr<FT_LibraryRec_, FreeTypeDeleter>;
using FreeTypeFace = std::unique_ptr<FT_FaceRec_, FreeTypeDeleter>;

FreeTypeLibrary open_freetype();
// Throws Error(usage) that names the Debian package when the file is missing, Error(format) when it is no font.
FreeTypeFace open_face(FT_Library library, const std::filesystem::path& file, const std::string& package);

// The colour bitmap of one code point (tables CBDT and CBLC of OpenType), with its mip levels and hull.
// Throws Error(format) when the font has none.
Glyph read_colour_glyph(FT_Face face, char32_t code, const std::filesystem::path& file);

}  // namespace nuri
