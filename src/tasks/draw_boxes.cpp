#include "media/draw.h"
#include "tasks/ask.h"
#include "tasks/pictures.h"

namespace nuri {

void draw_boxes(const std::string& picture, const std::vector<PictureBox>& boxes, const std::string& output,
                const PictureLimits& limits) {
  Image image = read_pictures({picture}, limits).front();
  std::vector<DrawnBox> drawn;
  for (const auto& box : boxes) drawn.push_back({box.label, box.x1, box.y1, box.x2, box.y2});
  write_png(output, draw_boxes(image, drawn, TextRenderer::with_system_fonts()));
}

}  // namespace nuri
