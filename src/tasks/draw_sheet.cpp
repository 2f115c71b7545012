#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "media/draw.h"
#include "media/resize.h"
#include "tasks/pictures.h"
#include "tasks/search.h"

namespace nuri {
namespace {

constexpr int64_t kTile = 240, kCaption = 40, kGap = 12;
constexpr double kTextSize = 15;

// The largest copy that fits into a tile.
Image thumbnail(const Image& picture) {
  double scale = static_cast<double>(kTile) / static_cast<double>(std::max(picture.width, picture.height));
  auto scaled = [&](int64_t side) { return std::max<int64_t>(1, std::llround(static_cast<double>(side) * scale)); };
  return resize(picture, scaled(picture.width), scaled(picture.height), Resample::bicubic);
}

void paste(Image& sheet, const Image& picture, int64_t left, int64_t top) {
  for (int64_t y = 0; y < picture.height; ++y)
    std::copy_n(picture.row(y), picture.row_bytes(), sheet.row(top + y) + left * 3);
}

// The end of a name that is too long tells files apart better than its beginning.
std::string fitting(const TextRenderer& renderer, const std::string& name) {
  std::string text = name;
  size_t cut = 0;
  while (cut < name.size() && renderer.measure(text, kTextSize).width > kTile) {
    do ++cut;
    while (cut < name.size() && (static_cast<unsigned char>(name[cut]) & 0xC0) == 0x80);
    text = "…" + name.substr(cut);
  }
  return text;
}

}  // namespace

void draw_sheet(const std::vector<SearchHit>& hits, const std::string& output, const PictureLimits& limits) {
  int64_t count = std::max<int64_t>(1, static_cast<int64_t>(hits.size()));
  auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count) * 1.3)));
  columns = std::min(columns, count);
  int64_t rows = (count + columns - 1) / columns;
  Image sheet(kGap + columns * (kTile + kGap), kGap + rows * (kTile + kCaption + kGap), 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), uint8_t{250});
  TextRenderer renderer = TextRenderer::with_system_fonts();
  constexpr Color kInk{40, 40, 40}, kFaint{120, 120, 120};
  for (size_t i = 0; i < hits.size(); ++i) {
    auto place = static_cast<int64_t>(i);
    int64_t left = kGap + place % columns * (kTile + kGap), top = kGap + place / columns * (kTile + kCaption + kGap);
    Image small = thumbnail(read_pictures({hits[i].file}, limits).front());
    paste(sheet, small, left + (kTile - small.width) / 2, top + (kTile - small.height) / 2);
    double x = static_cast<double>(left), y = static_cast<double>(top + kTile);
    renderer.draw(sheet, fitting(renderer, hits[i].file), x, y + 17, kTextSize, kInk);
    renderer.draw(sheet, fmt::format("{:.3f}", hits[i].score), x, y + 35, kTextSize, kFaint);
  }
  write_png(output, sheet);
}

}  // namespace nuri
