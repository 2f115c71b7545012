#pragma once

#include "cli/cli.h"

namespace nuri::cli {

// What the verbs have in common that ask a model about pictures and videos.
struct QuestionFlags {
  ModelOptions model;
  GenerationOptions generation;
  PictureLimits limits;
  std::string question;
  std::optional<std::string> draw;
  std::vector<std::string> pictures, videos;
  VideoOptions video;
  bool json = false;
};

// Adds MODEL, QUESTION, -i, -v, --draw, --json and what decides how the answer is made; `question` and `draw` are what
// the help says of two of them. `run` is called when the verb was chosen and the command line is parsed.
void add_question(CLI::App* verb, QuestionFlags& flags, const std::string& question, const std::string& draw,
                  std::function<void()> run);

// {"label", "box": [x1, y1, x2, y2]}
Json box_json(const PictureBox& box);
// [{"label", "point": [x, y]}]
Json points_json(const std::vector<PicturePoint>& points);

}  // namespace nuri::cli
