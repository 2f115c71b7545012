#include "media/draw.h"

#include <cmath>

#include "media/resize.h"

namespace nuri {
namespace {

// A rectangle in pixels of the drawn copy, x1 <= x2 and y1 <= y2.
struct Area {
  double x1, y1, x2, y2;
  double width() const { return x2 - x1; }
  double height() const { return y2 - y1; }
  double size() const { return width() * height(); }
  Area grown(double by) const { return {x1 - by, y1 - by, x2 + by, y2 + by}; }
};

double overlap(const Area& a, const Area& b) {
  double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1), height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  return width > 0 && height > 0 ? width * height : 0;
}

// The distance of a point to the edge of a rectangle with round corners, negative inside.
double distance_to(const Area& area, double radius, double x, double y) {
  double dx = std::fabs(x - (area.x1 + area.x2) / 2) - area.width() / 2 + radius;
  double dy = std::fabs(y - (area.y1 + area.y2) / 2) - area.height() / 2 + radius;
  return std::hypot(std::max(dx, 0.0), std::max(dy, 0.0)) + std::min(std::max(dx, dy), 0.0) - radius;
}

// Blends `color` wherever coverage(distance to the edge) is positive. `reach` is how far outside that may be, `depth`
// how far inside: the middle of a large frame is not visited.
template <class Coverage>
void paint(Image& image, const Area& area, double radius, double reach, double depth, const Color& color,
           Coverage coverage) {
  radius = std::min({radius, area.width() / 2, area.height() / 2});
  auto first = [](double at) { return std::max<int64_t>(0, static_cast<int64_t>(std::floor(at))); };
  auto last = [](double at, int64_t limit) { return std::min(limit, static_cast<int64_t>(std::ceil(at)) + 1); };
  int64_t top = first(area.y1 - reach), bottom = last(area.y2 + reach, image.height);
  int64_t left = first(area.x1 - reach), right = last(area.x2 + reach, image.width);
  Area core = area.grown(-(std::max(radius, depth) + 1));
  for (int64_t y = top; y < bottom; ++y) {
    double centre_y = static_cast<double>(y) + 0.5;
    bool hollow = centre_y > core.y1 && centre_y < core.y2 && core.x1 < core.x2;
    for (int64_t x = left; x < right; ++x) {
      double centre_x = static_cast<double>(x) + 0.5;
      if (hollow && centre_x > core.x1 && centre_x < core.x2) {
        x = static_cast<int64_t>(core.x2 - 0.5);
        continue;
      }
      double share = coverage(distance_to(area, radius, centre_x, centre_y));
      if (share > 0) blend_pixel(image, x, y, color, std::min(share, 1.0));
    }
  }
}

void fill(Image& image, const Area& area, double radius, const Color& color) {
  paint(image, area, radius, 1, area.width() + area.height(), color, [](double distance) { return 0.5 - distance; });
}

// A line of `width` along the edge, half of it inside.
void stroke(Image& image, const Area& area, double radius, double width, const Color& color) {
  paint(image, area, radius, width / 2 + 1, width / 2 + 1, color,
        [width](double distance) { return width / 2 + 0.5 - std::fabs(distance); });
}

double luminance(const Color& c) { return (0.2126 * c.red + 0.7152 * c.green + 0.0722 * c.blue) / 255; }

// The longest beginning of `label` that fits `width`, with an ellipsis when it is not whole.
std::string fitted(const TextRenderer& renderer, const std::string& label, double size, double width) {
  constexpr size_t kMaxBytes = 400;
  auto beginning = [&](size_t length) {
    if (length == label.size()) return label;
    while (length > 0 && (static_cast<uint8_t>(label[length]) & 0xC0) == 0x80) --length;
    while (length > 0 && label[length - 1] == ' ') --length;
    return label.substr(0, length) + "…";
  };
  auto fits = [&](size_t length) { return renderer.measure(beginning(length), size).width <= width; };
  if (label.size() <= kMaxBytes && fits(label.size())) return label;
  size_t low = 0, high = std::min(label.size() - 1, kMaxBytes);
  while (low < high) {
    size_t middle = (low + high + 1) / 2;
    if (fits(middle))
      low = middle;
    else
      high = middle - 1;
  }
  return beginning(low);
}

// One box on its way to being drawn.
struct Mark {
  Area area;
  Color color;
  std::string label;
};

class Drawing {
 public:
  Drawing(Image image, const TextRenderer& renderer, const DrawStyle& style)
      : image_(std::move(image)), renderer_(renderer) {
    auto side = static_cast<double>(std::max(image_.width, image_.height));
    text_size_ = style.text_size > 0 ? style.text_size : std::max(13.0, std::round(9 + side / 90));
    line_ = style.line_width > 0 ? style.line_width : std::max(3.0, std::round(text_size_ / 7));
  }

  void add_frame(const Mark& mark) {
    double radius = 1.5 * line_;
    Area frame = whole_line_inside(mark.area);
    frames_.push_back(frame);
    // A dark rim on both sides keeps the line visible on a ground of its own colour.
    stroke(image_, frame, radius, line_ + 2, Color{0, 0, 0, 90});
    stroke(image_, frame, radius, line_, mark.color);
  }

  void add_label(const Mark& mark) {
    if (mark.label.empty()) return;
    double pad_x = 0.4 * text_size_, pad_y = 0.2 * text_size_;
    auto room = static_cast<double>(image_.width) - 2 * pad_x;
    std::string text = fitted(renderer_, mark.label, text_size_, room);
    TextExtent extent = renderer_.measure(text, text_size_);
    Area plate =
        place(mark.area, std::ceil(extent.width + 2 * pad_x), std::ceil(extent.ascent + extent.descent + 2 * pad_y));
    placed_.push_back(plate);
    fill(image_, plate.grown(1), 0.25 * text_size_, Color{0, 0, 0, 60});
    fill(image_, plate, 0.25 * text_size_, mark.color);
    Color ink = luminance(mark.color) > 0.6 ? Color{20, 20, 20} : Color{255, 255, 255};
    renderer_.draw(image_, text, plate.x1 + pad_x, std::round(plate.y1 + pad_y + extent.ascent), text_size_, ink);
  }

  Image take() { return std::move(image_); }

 private:
  // Where the plate of a box goes: the first of the usual places, or the one that hides least of other plates and of
  // small boxes.
  Area place(const Area& box, double width, double height) const {
    double rim = line_ / 2, left = box.x1 - rim, right = box.x2 + rim - width;
    double above = box.y1 - rim - height, below = box.y2 + rim, top = box.y1 - rim, bottom = box.y2 + rim - height;
    const std::pair<double, double> corners[] = {{left, above},  {left, top},  {left, below},  {right, above},
                                                 {right, below}, {right, top}, {left, bottom}, {right, bottom}};
    Area best{};
    double best_cost = INFINITY;
    for (size_t i = 0; i < std::size(corners); ++i) {
      auto [x, y] = corners[i];
      Area plate{x, y, x + width, y + height};
      keep_inside(plate);
      double moved = std::fabs(plate.x1 - x) + 3 * std::fabs(plate.y1 - y);
      double cost = moved * height + static_cast<double>(i) * 0.05 * plate.size();
      for (const Area& other : placed_) cost += 20 * overlap(plate, other);
      for (const Area& other : frames_) cost += 2 * plate.size() * overlap(plate, other) / std::max(other.size(), 1.0);
      if (cost < best_cost) best_cost = cost, best = plate;
    }
    return best;
  }

  // At the picture's edge the line lies inside the box, elsewhere on its edge.
  Area whole_line_inside(const Area& box) const {
    double rim = line_ / 2 + 1, right = static_cast<double>(image_.width) - rim;
    double bottom = static_cast<double>(image_.height) - rim;
    Area frame{std::max(box.x1, rim), std::max(box.y1, rim), std::min(box.x2, right), std::min(box.y2, bottom)};
    return frame.x1 < frame.x2 && frame.y1 < frame.y2 ? frame : box;
  }

  void keep_inside(Area& plate) const {
    auto shift = [](double& low, double& high, double limit) {
      double by = std::max(0.0, -low) - std::max(0.0, high - limit);
      if (high - low > limit) by = -low;
      low += by, high += by;
    };
    shift(plate.x1, plate.x2, static_cast<double>(image_.width));
    shift(plate.y1, plate.y2, static_cast<double>(image_.height));
  }

  Image image_;
  const TextRenderer& renderer_;
  double text_size_, line_;
  std::vector<Area> frames_, placed_;
};

// The box in the drawn copy: corners sorted, inside the picture, and at least two pixels wide.
Area clamped(const DrawnBox& box, double scale, int64_t width, int64_t height) {
  auto range = [](double a, double b, double limit) {
    double low = std::clamp(std::min(a, b), 0.0, limit), high = std::clamp(std::max(a, b), 0.0, limit);
    double least = std::min(2.0, limit);
    if (high - low < least) {
      low = std::clamp((low + high - least) / 2, 0.0, limit - least);
      high = low + least;
    }
    return std::pair(low, high);
  };
  auto [x1, x2] = range(box.x1 * scale, box.x2 * scale, static_cast<double>(width));
  auto [y1, y2] = range(box.y1 * scale, box.y2 * scale, static_cast<double>(height));
  return {x1, y1, x2, y2};
}

Color from_hue(double hue) {
  auto channel = [hue](double offset) {
    double k = std::fmod(offset + hue * 6, 6.0);
    double value = 0.95 - 0.95 * 0.8 * std::clamp(std::min(k, 4 - k), 0.0, 1.0);
    return static_cast<uint8_t>(std::lround(255 * value));
  };
  return {channel(5), channel(3), channel(1)};
}

}  // namespace

Color distinct_color(size_t i) {
  constexpr Color kFirst[] = {{229, 57, 53},  {30, 136, 229}, {67, 160, 71},  {251, 140, 0},
                              {142, 36, 170}, {0, 172, 193},  {216, 27, 96},  {253, 216, 53},
                              {109, 76, 65},  {57, 73, 171},  {124, 179, 66}, {255, 138, 101}};
  if (i < std::size(kFirst)) return kFirst[i];
  double turns = static_cast<double>(i) * 0.6180339887498949;
  return from_hue(turns - std::floor(turns));
}

Image draw_boxes(const Image& image, std::span<const DrawnBox> boxes, const TextRenderer& renderer,
                 const DrawStyle& style) {
  int64_t long_side = std::max(image.width, image.height);
  int64_t factor =
      long_side > 0 && long_side < style.min_long_side ? (style.min_long_side + long_side - 1) / long_side : 1;
  Image copy = to_rgb(image);
  if (factor > 1) copy = resize(copy, image.width * factor, image.height * factor, Resample::bicubic);

  std::vector<Mark> marks;
  for (size_t i = 0; i < boxes.size(); ++i) {
    const DrawnBox& box = boxes[i];
    if (!std::isfinite(box.x1) || !std::isfinite(box.y1) || !std::isfinite(box.x2) || !std::isfinite(box.y2)) continue;
    Area area = clamped(box, static_cast<double>(factor), copy.width, copy.height);
    marks.push_back({area, distinct_color(box.color.value_or(i)), box.label});
  }
  // Small boxes lie above large ones.
  std::stable_sort(marks.begin(), marks.end(),
                   [](const Mark& a, const Mark& b) { return a.area.size() > b.area.size(); });
  Drawing drawing(std::move(copy), renderer, style);
  for (const Mark& mark : marks) drawing.add_frame(mark);
  for (const Mark& mark : marks) drawing.add_label(mark);
  return drawing.take();
}

}  // namespace nuri
