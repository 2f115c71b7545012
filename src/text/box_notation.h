#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nuri {

struct LabelledBox {
  std::string label;
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;  // pixels, as in Box: x2 and y2 are the first outside
};

// The boxes in a model's answer, in the notation of Qwen2.5-VL: JSON objects
// {"bbox_2d": [x1, y1, x2, y2], "label": "cat"}, alone, in an array, in a code fence or amid other text.
// Malformed entries (no four finite numbers, x2 < x1, y2 < y1, longer than 4096 bytes) are left out; a missing
// label is empty. Never throws on bad text; the work is linear in the text's length.
std::vector<LabelledBox> parse_boxes(std::string_view text);

// [{"bbox_2d": [1, 2, 3, 4], "label": "cat"}], with the numbers rounded to integers.
std::string format_boxes(const std::vector<LabelledBox>& boxes);

// Intersection over union; 0 for boxes without area.
double box_iou(const LabelledBox& a, const LabelledBox& b);

}  // namespace nuri
