#include "tasks/hiding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace nuri {
namespace {

constexpr int64_t kMostCells = 24;    // on a side of a picture
constexpr double kWorthALook = 0.25;  // of the strongest cell: from there on smaller windows are tried
constexpr double kStandsOut = 0.5;    // of the strongest cell: from there on a region
constexpr size_t kMostRegions = 3;

// One side of a picture, cut into cells and each of these into two, where it is long enough.
struct Axis {
  int64_t length, cells, halves;

  Axis(int64_t pixels, int64_t wanted)
      : length(pixels), cells(std::clamp<int64_t>(wanted, 1, std::max<int64_t>(pixels / 2, 1))) {
    halves = pixels > 1 ? 2 : 1;
  }
  int64_t steps() const { return cells * halves; }
  int64_t line(int64_t step) const { return (step * length + steps() / 2) / steps(); }
  int64_t windows() const { return std::max<int64_t>(cells - 1, 1); }
};

// One picture on its way: strengths by step, [y.steps(), x.steps()].
class Field {
 public:
  // With cells as nearly square and as many as so many windows allow.
  Field(PictureSize size, int64_t windows) : x_(size.width, 1), y_(size.height, 1) {
    double longer = static_cast<double>(std::max(size.width, size.height));
    for (int64_t cells = kMostCells; cells > 1; --cells) {
      auto along = [&](int64_t side) {
        return std::llround(static_cast<double>(cells) * static_cast<double>(side) / longer);
      };
      Axis x(size.width, along(size.width)), y(size.height, along(size.height));
      if (x.windows() * y.windows() > windows) continue;
      x_ = x, y_ = y;
      break;
    }
    size_t count = static_cast<size_t>(x_.steps() * y_.steps());
    lost_[0].resize(count), lost_[1].resize(count), looked_[0].resize(count), looked_[1].resize(count);
  }

  struct Window {
    int64_t x, y, width, height;  // in steps
  };

  // Windows of two cells on each side, one cell apart.
  std::vector<Window> coarse() const {
    std::vector<Window> windows;
    auto span = [](const Axis& axis) { return axis.halves * std::min<int64_t>(axis.cells, 2); };
    for (int64_t y = 0; y < y_.windows(); ++y)
      for (int64_t x = 0; x < x_.windows(); ++x) windows.push_back({x * x_.halves, y * y_.halves, span(x_), span(y_)});
    return windows;
  }

  // Windows of one cell, half a cell apart, that lie wholly in the chosen cells.
  std::vector<Window> fine(const std::vector<bool>& chosen) const {
    std::vector<Window> windows;
    for (int64_t y = 0; y + y_.halves <= y_.steps(); ++y)
      for (int64_t x = 0; x + x_.halves <= x_.steps(); ++x) {
        bool inside = true;
        for (int64_t v = y; v < y + y_.halves; ++v)
          for (int64_t u = x; u < x + x_.halves; ++u) inside = inside && chosen[cell_of(u, v)];
        if (inside) windows.push_back({x, y, x_.halves, y_.halves});
      }
    return windows;
  }

  HiddenPart part(size_t picture, const Window& w) const {
    return {picture, x_.line(w.x), y_.line(w.y), x_.line(w.x + w.width), y_.line(w.y + w.height)};
  }

  void note(int level, const Window& w, double loss) {
    for (int64_t y = w.y; y < w.y + w.height; ++y)
      for (int64_t x = w.x; x < w.x + w.width; ++x) lost_[level][at(x, y)] += loss, ++looked_[level][at(x, y)];
  }

  int64_t steps_x() const { return x_.steps(); }
  int64_t steps_y() const { return y_.steps(); }
  size_t at(int64_t x, int64_t y) const { return static_cast<size_t>(y * x_.steps() + x); }
  size_t cell_of(int64_t x, int64_t y) const { return static_cast<size_t>(y / y_.halves * x_.cells + x / x_.halves); }
  size_t cells() const { return static_cast<size_t>(x_.cells * y_.cells); }
  const Axis& x_axis() const { return x_; }
  const Axis& y_axis() const { return y_; }

  bool refined(size_t step) const { return looked_[1][step] > 0; }
  double mean(int level, size_t step) const {
    return looked_[level][step] > 0 ? lost_[level][step] / looked_[level][step] : 0;
  }
  // Where no smaller window was tried, `ratio` tells what it would have lost of what the larger ones did.
  double strength(size_t step, double ratio) const {
    double large = mean(0, step);
    return (large + (refined(step) ? mean(1, step) : ratio * large)) / 2;
  }

 private:
  Axis x_, y_;
  std::vector<double> lost_[2], looked_[2];
};

// Cells of all pictures, those that lost most first, as many as smaller windows can be afforded for.
std::vector<std::vector<bool>> choose(const std::vector<Field>& fields, int64_t windows) {
  struct Cell {
    double strength;
    size_t picture, cell;
  };
  std::vector<Cell> cells;
  std::vector<std::vector<bool>> chosen;
  for (size_t p = 0; p < fields.size(); ++p) {
    const Field& field = fields[p];
    chosen.emplace_back(field.cells());
    for (int64_t y = 0; y < field.steps_y(); y += field.y_axis().halves)
      for (int64_t x = 0; x < field.steps_x(); x += field.x_axis().halves)
        cells.push_back({field.mean(0, field.at(x, y)), p, field.cell_of(x, y)});
  }
  std::stable_sort(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) { return a.strength > b.strength; });
  std::vector<int64_t> counts(fields.size());
  for (const Cell& cell : cells) {
    if (cell.strength <= 0 || cell.strength < kWorthALook * cells.front().strength) break;
    chosen[cell.picture][cell.cell] = true;
    int64_t before = std::exchange(counts[cell.picture],
                                   static_cast<int64_t>(fields[cell.picture].fine(chosen[cell.picture]).size()));
    if (std::reduce(counts.begin(), counts.end()) <= windows) continue;
    chosen[cell.picture][cell.cell] = false;
    counts[cell.picture] = before;
    break;
  }
  return chosen;
}

void measure(std::vector<Field>& fields, int level, const std::vector<std::vector<Field::Window>>& windows,
             const LossOfHiding& loss) {
  std::vector<HiddenPart> parts;
  for (size_t p = 0; p < fields.size(); ++p)
    for (const auto& window : windows[p]) parts.push_back(fields[p].part(p, window));
  if (parts.empty()) return;
  std::vector<double> losses = loss(parts);
  size_t next = 0;
  for (size_t p = 0; p < fields.size(); ++p)
    for (const auto& window : windows[p]) fields[p].note(level, window, losses[next++]);
}

// What smaller windows lost of what larger ones lost in the same places.
double ratio_of(const std::vector<Field>& fields) {
  double large = 0, small = 0;
  for (const Field& field : fields)
    for (int64_t y = 0; y < field.steps_y(); ++y)
      for (int64_t x = 0; x < field.steps_x(); ++x) {
        size_t step = field.at(x, y);
        if (field.refined(step)) large += field.mean(0, step), small += field.mean(1, step);
      }
  return large > 0 ? std::clamp(small / large, 0.0, 1.0) : 1;
}

ExplainedPart explained(const HiddenPart& part, double strength) {
  return {static_cast<int64_t>(part.picture), static_cast<double>(part.x1), static_cast<double>(part.y1),
          static_cast<double>(part.x2),       static_cast<double>(part.y2), strength};
}

// Whole cells where no smaller window was tried, steps elsewhere.
void list_cells(const Field& field, size_t picture, double ratio, std::vector<ExplainedPart>& cells) {
  int64_t wide = field.x_axis().halves, high = field.y_axis().halves;
  for (int64_t y = 0; y < field.steps_y(); y += high)
    for (int64_t x = 0; x < field.steps_x(); x += wide) {
      bool refined = false;
      for (int64_t v = y; v < y + high; ++v)
        for (int64_t u = x; u < x + wide; ++u) refined = refined || field.refined(field.at(u, v));
      int64_t width = refined ? 1 : wide, height = refined ? 1 : high;
      for (int64_t v = y; v < y + high; v += height)
        for (int64_t u = x; u < x + wide; u += width)
          cells.push_back(explained(field.part(picture, {u, v, width, height}), field.strength(field.at(u, v), ratio)));
    }
}

// Connected steps of at least `least`, each with what their strengths add up to by area.
void find_regions(const Field& field, size_t picture, double ratio, double least, std::vector<ExplainedPart>& regions) {
  std::vector<bool> seen(static_cast<size_t>(field.steps_x() * field.steps_y()));
  for (int64_t y = 0; y < field.steps_y(); ++y)
    for (int64_t x = 0; x < field.steps_x(); ++x) {
      std::vector<std::pair<int64_t, int64_t>> open{{x, y}};
      Field::Window around{x, y, 1, 1};
      double sum = 0;
      while (!open.empty()) {
        auto [u, v] = open.back();
        open.pop_back();
        if (u < 0 || v < 0 || u >= field.steps_x() || v >= field.steps_y()) continue;
        size_t step = field.at(u, v);
        if (seen[step] || field.strength(step, ratio) < least) continue;
        seen[step] = true;
        HiddenPart part = field.part(picture, {u, v, 1, 1});
        sum += field.strength(step, ratio) * static_cast<double>((part.x2 - part.x1) * (part.y2 - part.y1));
        int64_t right = std::max(around.x + around.width, u + 1), bottom = std::max(around.y + around.height, v + 1);
        around.x = std::min(around.x, u), around.y = std::min(around.y, v);
        around.width = right - around.x, around.height = bottom - around.y;
        for (auto [du, dv] : {std::pair(1, 0), std::pair(-1, 0), std::pair(0, 1), std::pair(0, -1)})
          open.emplace_back(u + du, v + dv);
      }
      if (sum > 0) regions.push_back(explained(field.part(picture, around), sum));
    }
}

void strongest_first(std::vector<ExplainedPart>& parts) {
  std::stable_sort(parts.begin(), parts.end(),
                   [](const ExplainedPart& a, const ExplainedPart& b) { return a.strength > b.strength; });
}

}  // namespace

// One window and one look closer for each, and the regions.
int64_t fewest_hidings(size_t pictures) { return static_cast<int64_t>(2 * pictures + kMostRegions); }

HidingResult find_by_hiding(std::span<const PictureSize> pictures, int64_t most, const LossOfHiding& loss) {
  auto count = static_cast<int64_t>(pictures.size());
  if (int64_t least = fewest_hidings(pictures.size()); most < least)
    throw Error(ErrorKind::usage,
                fmt::format("hidden parts: found at most {}, expected at least {} (pictures: {})", most, least, count));
  int64_t left = most - static_cast<int64_t>(kMostRegions);
  std::vector<Field> fields;
  std::vector<std::vector<Field::Window>> windows;
  int64_t share = left / 2 / count;
  for (const PictureSize& picture : pictures) {
    fields.emplace_back(picture, share);
    windows.push_back(fields.back().coarse());
    left -= static_cast<int64_t>(windows.back().size());
  }
  measure(fields, 0, windows, loss);
  std::vector<std::vector<bool>> chosen = choose(fields, left);
  for (size_t p = 0; p < fields.size(); ++p) windows[p] = fields[p].fine(chosen[p]);
  measure(fields, 1, windows, loss);

  HidingResult result;
  double ratio = ratio_of(fields);
  for (size_t p = 0; p < fields.size(); ++p) list_cells(fields[p], p, ratio, result.cells);
  double strongest = 0;
  for (const ExplainedPart& cell : result.cells) strongest = std::max(strongest, cell.strength);
  if (strongest <= 0) return result;
  for (size_t p = 0; p < fields.size(); ++p) find_regions(fields[p], p, ratio, kStandsOut * strongest, result.regions);
  strongest_first(result.regions);
  result.regions.resize(std::min(result.regions.size(), kMostRegions));
  std::vector<HiddenPart> parts;
  for (const ExplainedPart& r : result.regions)
    parts.push_back({static_cast<size_t>(r.picture), std::llround(r.x1), std::llround(r.y1), std::llround(r.x2),
                     std::llround(r.y2)});
  std::vector<double> losses = loss(parts);
  for (size_t i = 0; i < parts.size(); ++i) result.regions[i].strength = losses[i];
  strongest_first(result.regions);
  return result;
}

}  // namespace nuri
