#include "train/emoji_world/draw.h"

#include <algorithm>
#include <cmath>

namespace nuri {
namespace {

constexpr int kOpaque = 96;  // of 255: from here on a drawn pixel belongs to the object

// Four pixels blended by eighths of a byte: the fractions are 0 to 256.
struct Rgba {
  uint32_t c[4];
};

inline Rgba sample(const GlyphLevel& level, int u, int v) {  // 24.8 fixed point, inside
  const uint32_t fu = u & 255, fv = v & 255;
  const uint8_t* a = &level.pixels[(size_t(v >> 8) * level.width + (u >> 8)) * 4];
  const uint8_t* b = a + size_t(level.width) * 4;
  const uint32_t w11 = fu * fv, w01 = (fu << 8) - w11, w10 = (fv << 8) - w11, w00 = 65536 - w11 - w01 - w10;
  Rgba result;
  for (int c = 0; c < 4; ++c) {
    result.c[c] = (a[c] * w00 + a[c + 4] * w01 + b[c] * w10 + b[c + 4] * w11 + 32768) >> 16;
  }
  return result;
}

// The level at which one picture pixel is about one glyph pixel.
int level_for(const Glyph& glyph, double scale) {
  const int level = static_cast<int>(std::floor(std::log2(1 / scale) + 0.3));
  return std::clamp(level, 0, static_cast<int>(glyph.levels.size()) - 1);
}

void grow(Box& box, int x, int y) {
  box.x1 = std::min(box.x1, x), box.x2 = std::max(box.x2, x + 1);
  box.y1 = std::min(box.y1, y), box.y2 = std::max(box.y2, y + 1);
}

}  // namespace

Extent extent_of(const Glyph& glyph, const Pose& pose) {
  const double cosine = std::cos(pose.radians) * pose.scale, sine = std::sin(pose.radians) * pose.scale;
  const double middle_x = (glyph.x1 + glyph.x2) / 2, middle_y = (glyph.y1 + glyph.y2) / 2;
  Extent extent{1e9, 1e9, -1e9, -1e9};
  for (auto [u, v] : glyph.hull) {
    const double du = (pose.mirrored ? -1 : 1) * (u - middle_x), dv = v - middle_y;
    const double x = cosine * du - sine * dv, y = sine * du + cosine * dv;
    extent.x1 = std::min(extent.x1, x), extent.x2 = std::max(extent.x2, x);
    extent.y1 = std::min(extent.y1, y), extent.y2 = std::max(extent.y2, y);
  }
  return extent;
}

Drawn draw_glyph(const Glyph& glyph, const Pose& pose, int index, Image& picture, std::vector<int8_t>& owner) {
  const int which = level_for(glyph, pose.scale);
  const GlyphLevel& level = glyph.levels[which];
  const double shrink = 1.0 / (1 << which);  // level-0 pixels to this level's
  const double middle_u = (glyph.x1 + glyph.x2) / 2 * shrink + kGlyphBorder - 0.5;
  const double middle_v = (glyph.y1 + glyph.y2) / 2 * shrink + kGlyphBorder - 0.5;
  const double cosine = std::cos(pose.radians) / pose.scale * shrink,
               sine = std::sin(pose.radians) / pose.scale * shrink;
  const double mirror = pose.mirrored ? -1 : 1;
  const Extent extent = extent_of(glyph, pose);
  const int width = static_cast<int>(picture.width), height = static_cast<int>(picture.height);
  // Soft edges reach a little beyond the hull of the opaque pixels.
  const int margin = 2 + static_cast<int>(4 * pose.scale);
  const int x1 = std::max(0, static_cast<int>(std::floor(pose.x + extent.x1)) - margin);
  const int x2 = std::min(width, static_cast<int>(std::ceil(pose.x + extent.x2)) + margin);
  const int y1 = std::max(0, static_cast<int>(std::floor(pose.y + extent.y1)) - margin);
  const int y2 = std::min(height, static_cast<int>(std::ceil(pose.y + extent.y2)) + margin);
  const int last_u = (level.width - 1) << 8, last_v = (level.height - 1) << 8;
  Drawn drawn{{width, height, 0, 0}, 0};
  for (int y = y1; y < y2; ++y) {
    const double dy = y + 0.5 - pose.y;
    for (int x = x1; x < x2; ++x) {
      const double dx = x + 0.5 - pose.x;
      const int u = static_cast<int>((middle_u + mirror * (cosine * dx + sine * dy)) * 256);
      const int v = static_cast<int>((middle_v - sine * dx + cosine * dy) * 256);
      if (u < 0 || v < 0 || u >= last_u || v >= last_v) continue;
      const Rgba over = sample(level, u, v);
      if (over.c[3] == 0) continue;
      const size_t at = size_t(y) * width + x;
      uint8_t* under = &picture.pixels[3 * at];
      for (int c = 0; c < 3; ++c) {
        under[c] =
            static_cast<uint8_t>(std::min<uint32_t>(255, over.c[c] + (under[c] * (255 - over.c[3]) + 127) / 255));
      }
      if (over.c[3] < kOpaque) continue;
      owner[at] = static_cast<int8_t>(index);
      grow(drawn.box, x, y);
      ++drawn.pixels;
    }
  }
  return drawn;
}

Box draw_word(const WordMask& mask, int x, int y, const Colour& colour, Image& picture) {
  Box box{static_cast<int>(picture.width), static_cast<int>(picture.height), 0, 0};
  for (int row = 0; row < mask.height; ++row) {
    for (int column = 0; column < mask.width; ++column) {
      const float share = mask.coverage[size_t(row) * mask.width + column] / 255.0f;
      if (share == 0) continue;
      uint8_t* under = &picture.pixels[3 * (size_t(y + row) * picture.width + x + column)];
      for (int c = 0; c < 3; ++c) under[c] = static_cast<uint8_t>(under[c] + (colour[c] - under[c]) * share + 0.5f);
      if (share >= 0.35f) grow(box, x + column, y + row);
    }
  }
  return box;
}

}  // namespace nuri
