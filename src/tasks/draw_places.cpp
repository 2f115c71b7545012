#include "media/draw.h"
#include "tasks/ask.h"
#include "tasks/pictures.h"

namespace nuri {

void draw_places(const std::string& picture, const Answer& answer, const std::string& output,
                 const PictureLimits& limits) {
  Image image = read_pictures({picture}, limits).front();
  std::vector<DrawnBox> drawn;
  for (const auto& box : answer.boxes) drawn.push_back({box.label, box.x1, box.y1, box.x2, box.y2});
  for (const auto& point : answer.points) drawn.push_back({point.label, point.x, point.y, point.x, point.y});
  write_png(output, draw_boxes(image, drawn, TextRenderer::with_system_fonts()));
}

}  // namespace nuri
