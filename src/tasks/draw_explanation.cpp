#include "media/draw_heat.h"
#include "tasks/explain.h"
#include "tasks/pictures.h"

namespace nuri {

void draw_explanation(const std::vector<std::string>& pictures, const Explanation& explanation,
                      const std::string& output, const PictureLimits& limits) {
  std::vector<Image> images = read_pictures(pictures, limits);
  std::vector<HeatPicture> heated(images.size());
  for (size_t i = 0; i < images.size(); ++i) heated[i].image = &images[i];
  auto place = [&](const std::vector<ExplainedPart>& parts, std::vector<HeatCell> HeatPicture::*list) {
    for (const ExplainedPart& part : parts)
      (heated.at(static_cast<size_t>(part.picture)).*list)
          .push_back({part.x1, part.y1, part.x2, part.y2, part.strength});
  };
  place(explanation.cells, &HeatPicture::cells);
  place(explanation.regions, &HeatPicture::outlined);
  bool found = !explanation.regions.empty();
  write_png(output,
            draw_heat(heated,
                      found ? "Drop of log-likelihood when hidden (2.3: ten times less likely; framed: as a whole)"
                            : "Whatever was hidden, the answer became no less likely",
                      TextRenderer::with_system_fonts()));
}

}  // namespace nuri
