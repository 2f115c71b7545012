#include "media/draw_heat.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "media/draw.h"
#include "media/resize.h"

namespace nuri {
namespace {

constexpr int64_t kLeastSide = 640;  // the longer side of a picture alone is at least so long
constexpr int64_t kTile = 640;       // and of several, each as long as this
constexpr int64_t kGap = 12;

// Pale yellow over orange and red to a dark purple: ever darker, so that it is read without colours too.
Color color_of(double share) {
  constexpr double kStops[][3] = {{255, 245, 170}, {254, 196, 70}, {240, 110, 30}, {200, 20, 45}, {95, 0, 75}};
  double at = std::clamp(share, 0.0, 1.0) * (std::size(kStops) - 1);
  auto below = std::min(static_cast<size_t>(at), std::size(kStops) - 2);
  double part = at - static_cast<double>(below);
  auto channel = [&](int c) {
    return static_cast<uint8_t>(std::lround(kStops[below][c] * (1 - part) + kStops[below + 1][c] * part));
  };
  return {channel(0), channel(1), channel(2)};
}

double opacity_of(double share) { return 0.75 * std::pow(std::clamp(share, 0.0, 1.0), 0.7); }

// Grey and light, so that colours stand for strength alone but what is shown can be made out.
void pale(Image& image) {
  for (size_t i = 0; i + 2 < image.pixels.size(); i += 3) {
    uint8_t* pixel = image.pixels.data() + i;
    double grey = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
    for (int c = 0; c < 3; ++c)
      pixel[c] = static_cast<uint8_t>(std::lround(0.75 * (0.7 * grey + 0.3 * pixel[c]) + 0.25 * 255));
  }
}

Image scaled(const Image& image, bool alone) {
  int64_t side = std::max(image.width, image.height);
  if (alone) {
    int64_t factor = side < kLeastSide ? (kLeastSide + side - 1) / side : 1;
    return factor > 1 ? resize(image, image.width * factor, image.height * factor, Resample::bicubic) : image;
  }
  double factor = static_cast<double>(kTile) / static_cast<double>(side);
  auto length = [&](int64_t of) { return std::max<int64_t>(1, std::llround(static_cast<double>(of) * factor)); };
  return resize(image, length(image.width), length(image.height), Resample::bicubic);
}

void lay(Image& image, const HeatCell& cell, double x_scale, double y_scale, double strongest) {
  double share = cell.strength / strongest;
  if (!(share > 0)) return;
  auto line = [](double at, double scale, int64_t limit) {
    return std::clamp<int64_t>(std::llround(at * scale), 0, limit);
  };
  Color color = color_of(share);
  for (int64_t y = line(cell.y1, y_scale, image.height); y < line(cell.y2, y_scale, image.height); ++y)
    for (int64_t x = line(cell.x1, x_scale, image.width); x < line(cell.x2, x_scale, image.width); ++x)
      blend_pixel(image, x, y, color, opacity_of(share));
}

Image heated(const HeatPicture& picture, double strongest, bool alone, const TextRenderer& renderer) {
  Image image = scaled(*picture.image, alone);
  double x_scale = static_cast<double>(image.width) / static_cast<double>(picture.image->width);
  double y_scale = static_cast<double>(image.height) / static_cast<double>(picture.image->height);
  pale(image);
  for (const HeatCell& cell : picture.cells) lay(image, cell, x_scale, y_scale, strongest);
  std::vector<DrawnBox> frames;
  for (const HeatCell& cell : picture.outlined)
    frames.push_back({fmt::format("{:.2f}", cell.strength), cell.x1 * x_scale, cell.y1 * y_scale, cell.x2 * x_scale,
                      cell.y2 * y_scale, 1});
  return draw_boxes(image, frames, renderer, {.min_long_side = 0});
}

// The colours from nothing to the strongest, with numbers below, and what they mean.
void draw_legend(Image& sheet, int64_t top, double strongest, const std::string& meaning, double size,
                 const TextRenderer& renderer) {
  constexpr Color kInk{30, 30, 30};
  double width = static_cast<double>(sheet.width), left = size, right = std::min(width - size, left + 26 * size);
  double line = static_cast<double>(top) + 1.5 * size;
  renderer.draw(sheet, meaning, left, line, size, kInk);
  if (strongest <= 0) return;
  auto bar = static_cast<int64_t>(line + 0.7 * size), bottom = static_cast<int64_t>(line + 1.7 * size);
  for (auto x = static_cast<int64_t>(left); x < static_cast<int64_t>(right); ++x) {
    double share = (static_cast<double>(x) - left) / (right - left);
    for (int64_t y = bar; y < bottom; ++y) {
      blend_pixel(sheet, x, y, {225, 225, 225});
      blend_pixel(sheet, x, y, color_of(share), opacity_of(share));
    }
  }
  for (double share : {0.0, 0.5, 1.0}) {
    std::string number = share > 0 ? fmt::format("{:.2f}", share * strongest) : "0";
    double wide = renderer.measure(number, size).width;
    renderer.draw(sheet, number, std::clamp(left + share * (right - left) - wide / 2, left, right - wide),
                  static_cast<double>(bottom) + 1.2 * size, size, kInk);
  }
}

}  // namespace

Image draw_heat(std::span<const HeatPicture> pictures, const std::string& meaning, const TextRenderer& renderer) {
  double strongest = 0;
  for (const HeatPicture& picture : pictures)
    for (const HeatCell& cell : picture.cells) strongest = std::max(strongest, cell.strength);
  std::vector<Image> drawn;
  for (const HeatPicture& picture : pictures)
    drawn.push_back(heated(picture, strongest, pictures.size() == 1, renderer));

  auto columns = static_cast<size_t>(std::ceil(std::sqrt(static_cast<double>(drawn.size()))));
  int64_t width = 0, height = 0;
  std::vector<std::pair<int64_t, int64_t>> corners;
  for (size_t first = 0; first < drawn.size(); first += columns) {
    int64_t left = 0, tallest = 0;
    for (size_t i = first; i < std::min(first + columns, drawn.size()); ++i) {
      corners.emplace_back(left, height);
      left += drawn[i].width + kGap, tallest = std::max(tallest, drawn[i].height);
    }
    width = std::max(width, left - kGap), height += tallest + kGap;
  }
  double size = std::max(14.0, std::round(7 + static_cast<double>(width) / 60));
  double room = renderer.measure(meaning, size).width + 2 * size;
  width = std::max(width, static_cast<int64_t>(std::ceil(room)));
  Image sheet(width, height + static_cast<int64_t>((strongest > 0 ? 5 : 2.5) * size), 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), uint8_t{255});
  for (size_t i = 0; i < drawn.size(); ++i)
    for (int64_t y = 0; y < drawn[i].height; ++y)
      std::copy_n(drawn[i].row(y), drawn[i].row_bytes(), sheet.row(corners[i].second + y) + corners[i].first * 3);
  draw_legend(sheet, height - kGap, strongest, meaning, size, renderer);
  return sheet;
}

}  // namespace nuri
