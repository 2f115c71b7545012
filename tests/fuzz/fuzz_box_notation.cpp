#include <cmath>

#include "fuzz.h"
#include "text/box_notation.h"

// A model's answer, which may be any text. What is read must survive being written and read again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  auto boxes = parse_boxes({reinterpret_cast<const char*>(data), size});
  for (const auto& box : boxes) {
    if (!std::isfinite(box.x1 + box.y1 + box.x2 + box.y2) || box.x2 < box.x1 || box.y2 < box.y1)
      fuzz::fail("found a box without an area");
    box_iou(box, boxes.front());
  }
  if (size > 1000) return 0;  // so that no entry grows beyond the longest
  auto again = parse_boxes(format_boxes(boxes));
  if (again.size() != boxes.size()) fuzz::fail("found another number of boxes after writing");
  for (size_t i = 0; i < boxes.size(); ++i)
    if (again[i].label != boxes[i].label || std::fabs(again[i].x1 - boxes[i].x1) > 0.5)
      fuzz::fail("found another box after writing");
  return 0;
}
