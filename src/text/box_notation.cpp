#include "text/box_notation.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nuri {
namespace {

constexpr size_t kLongestEntry = 4096;
constexpr double kLargestCoordinate = 1e7;

// The end of the innermost object that starts at `start` ('{'): one behind its '}'. Another '{' outside a string
// sets `restart` to its place instead.
std::optional<size_t> end_of_object(std::string_view text, size_t start, size_t& restart) {
  bool in_string = false;
  const size_t last = std::min(text.size(), start + kLongestEntry);
  for (size_t i = start + 1; i < last; ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{') {
      restart = i;
      return std::nullopt;
    } else if (c == '}') {
      return i + 1;
    }
  }
  return std::nullopt;
}

std::optional<LabelledBox> read_entry(std::string_view entry) {
  const auto json = nlohmann::json::parse(entry, nullptr, false);
  if (!json.is_object() || !json.contains("bbox_2d")) return std::nullopt;
  const auto& numbers = json["bbox_2d"];
  if (!numbers.is_array() || numbers.size() != 4) return std::nullopt;
  double values[4];
  for (size_t i = 0; i < 4; ++i) {
    if (!numbers[i].is_number()) return std::nullopt;
    values[i] = numbers[i].get<double>();
    if (!(std::abs(values[i]) <= kLargestCoordinate)) return std::nullopt;
  }
  if (values[2] < values[0] || values[3] < values[1]) return std::nullopt;
  LabelledBox box{"", values[0], values[1], values[2], values[3]};
  if (json.contains("label") && json["label"].is_string()) box.label = json["label"].get<std::string>();
  return box;
}

}  // namespace

std::vector<LabelledBox> parse_boxes(std::string_view text) {
  std::vector<LabelledBox> boxes;
  size_t at = text.find('{');
  while (at != std::string_view::npos) {
    size_t next = at + 1;
    if (const std::optional<size_t> end = end_of_object(text, at, next)) {
      if (std::optional<LabelledBox> box = read_entry(text.substr(at, *end - at))) {
        boxes.push_back(std::move(*box));
        next = *end;
      }
    }
    at = text.find('{', next);
  }
  return boxes;
}

std::string format_boxes(const std::vector<LabelledBox>& boxes) {
  std::string text = "[";
  for (const LabelledBox& box : boxes) {
    if (text.size() > 1) text += ", ";
    text += fmt::format("{{\"bbox_2d\": [{}, {}, {}, {}], \"label\": {}}}", std::lround(box.x1), std::lround(box.y1),
                        std::lround(box.x2), std::lround(box.y2),
                        nlohmann::json(box.label).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  return text + "]";
}

double box_iou(const LabelledBox& a, const LabelledBox& b) {
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (width <= 0 || height <= 0) return 0;
  const double both = width * height;
  const double area = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both;
  return area > 0 ? both / area : 0;
}

}  // namespace nuri
