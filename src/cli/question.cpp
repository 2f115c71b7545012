#include "cli/question.h"

#include "cli/arguments.h"

namespace nuri::cli {

void add_question(CLI::App* verb, QuestionFlags& flags, const std::string& question, const std::string& draw,
                  std::function<void()> run) {
  add_model_flags(verb, flags.model);
  add_cache_flag(verb, flags.model);
  add_context_flag(verb, flags.model);
  verb->add_option("QUESTION", flags.question, question)->required();
  auto settle =
      add_pictures(verb, flags.pictures, {&flags.model.model, &flags.question}, "A picture (JPEG, PNG, WebP)");
  add_videos(verb, flags.videos, flags.video);
  verb->add_option("--draw", flags.draw, draw);
  verb->add_flag("--json", flags.json, "One JSON object in place of the text");
  add_generation_flags(verb, flags.generation);
  add_max_pixels(verb, flags.limits);
  verb->callback([settle, run] {
    settle();
    run();
  });
}

Json box_json(const PictureBox& box) { return {{"label", box.label}, {"box", {box.x1, box.y1, box.x2, box.y2}}}; }

Json boxes_json(const std::vector<PictureBox>& boxes) {
  Json list = Json::array();
  for (const auto& box : boxes) list.push_back(box_json(box));
  return list;
}

Json points_json(const std::vector<PicturePoint>& points) {
  Json list = Json::array();
  for (const auto& point : points) list.push_back({{"label", point.label}, {"point", {point.x, point.y}}});
  return list;
}

}  // namespace nuri::cli
