#include "text/box_notation.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "text/place_notation.h"

namespace nuri {

std::vector<LabelledBox> parse_boxes(std::string_view text) {
  std::vector<LabelledBox> boxes;
  for (Place& place : parse_places(text))
    if (!place.point && place.unit == Place::Unit::pixels)
      boxes.push_back({std::move(place.label), place.x1, place.y1, place.x2, place.y2});
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
