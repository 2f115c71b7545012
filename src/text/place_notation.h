#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nuri {

// Something that a model's answer points at, in the answer's own numbers.
struct Place {
  enum class Unit {
    pixels,       // of the picture as the model saw it
    thousandths,  // of its sides
    shares,       // of its sides, 0 to 1
  };
  bool point = false;  // else a box
  Unit unit = Unit::pixels;
  std::string label;
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;  // of a point: x1, y1 alone
};

// The boxes and points in an answer, in the order in which they stand, in the notations of
//   Qwen2.5-VL  {"bbox_2d": [x1, y1, x2, y2], "label": "cat"} and {"point_2d": [x, y], "label": "cat"}, as JSON objects
//               alone, in an array, in a code fence or amid other text; of what unit, the model's family knows
//   Qwen2-VL    <|object_ref_start|>cat<|object_ref_end|><|box_start|>(x1,y1),(x2,y2)<|box_end|>, thousandths
//   InternVL    <ref>cat</ref><box>[[x1, y1, x2, y2], ...]</box>, thousandths
//   LLaVA       [x1, y1, x2, y2] with four numbers from 0 to 1, at least one of them written with a point, shares
// Malformed entries (a number that is missing or not finite, x2 < x1, y2 < y1, longer than 4096 bytes) are left out; a
// missing label is empty. Never throws on bad text; the work is linear in the text's length.
std::vector<Place> parse_places(std::string_view text, Place::Unit json_unit = Place::Unit::pixels);

}  // namespace nuri
