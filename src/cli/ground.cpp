#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/question.h"
#include "cli/terminal.h"
#include "tasks/ground.h"

namespace nuri::cli {
namespace {

std::string label_of(const std::string& text) { return text.empty() ? "-" : one_line(text); }

void print_places(const Answer& answer) {
  if (answer.boxes.empty() && answer.points.empty()) {
    warn("the answer points at nothing; it is given as it is");
    print(answer.text + "\n");
  }
  for (const auto& box : answer.boxes)
    print(fmt::format("box    {:7.1f} {:7.1f} {:7.1f} {:7.1f}  {}\n", box.x1, box.y1, box.x2, box.y2,
                      label_of(box.label)));
  for (const auto& point : answer.points)
    print(fmt::format("point  {:7.1f} {:7.1f} {:15}  {}\n", point.x, point.y, "", label_of(point.label)));
}

Json places_json(const Answer& answer) {
  return {{"text", answer.text}, {"boxes", boxes_json(answer.boxes)}, {"points", points_json(answer.points)}};
}

Json moments_json(const std::vector<VideoMoment>& moments) {
  Json list = Json::array();
  for (const auto& moment : moments)
    list.push_back({{"label", moment.label}, {"start_s", moment.start_s}, {"end_s", moment.end_s}});
  return list;
}

Json frames_json(const std::vector<GroundedFrame>& frames) {
  Json list = Json::array();
  for (const auto& frame : frames) {
    Json boxes = Json::array();
    for (const auto& [track, box] : frame.boxes) {
      boxes.push_back(box_json(box));
      boxes.back()["track"] = track;
    }
    list.push_back(
        {{"seconds", frame.seconds}, {"text", frame.text}, {"boxes", boxes}, {"points", points_json(frame.points)}});
  }
  return list;
}

void run_video(const QuestionFlags& flags) {
  Assistant assistant(flags.model);
  auto found = ground_video(assistant, flags.question, flags.videos.front(), flags.video, flags.generation);
  if (flags.draw) draw_video(flags.videos.front(), found, *flags.draw, flags.video);
  if (flags.json)
    return print_json(
        {{"text", found.text}, {"moments", moments_json(found.moments)}, {"frames", frames_json(found.frames)}});
  for (const auto& moment : found.moments)
    print(fmt::format("{:8.2f} to {:8.2f} s  {}\n", moment.start_s, moment.end_s, label_of(moment.label)));
  for (const auto& frame : found.frames)
    for (const auto& [track, box] : frame.boxes)
      print(fmt::format("{:8.2f} s  #{:<3} {:7.1f} {:7.1f} {:7.1f} {:7.1f}  {}\n", frame.seconds, track + 1, box.x1,
                        box.y1, box.x2, box.y2, label_of(box.label)));
}

void run(const QuestionFlags& flags) {
  if (flags.pictures.empty() == flags.videos.empty())
    throw Error(ErrorKind::usage, "expected pictures (-i) or a video (-v)");
  if (flags.videos.size() > 1)
    throw Error(ErrorKind::usage, fmt::format("-v: found {} videos, expected one", flags.videos.size()));
  if (flags.draw) expect_writable(*flags.draw);
  if (!flags.videos.empty()) return run_video(flags);
  Assistant assistant(flags.model);
  Answer answer = assistant.ask(flags.question, flags.pictures, flags.generation, {}, flags.limits);
  if (flags.draw) draw_places(flags.pictures.back(), answer, *flags.draw, flags.limits);
  if (flags.json) return print_json(places_json(answer));
  print_places(answer);
}

}  // namespace

void add_ground(CLI::App& app) {
  auto flags = std::make_shared<QuestionFlags>();
  CLI::App* verb =
      add_verb(app, "ground", "Say where something is, in pixels of the picture or video, and when, in seconds",
               "nuri ground emoji-world \"Where is the cat?\" -i docs/scene.png --draw places.png");
  add_question(verb, *flags, "What to look for, in the words that the model knows",
               "Write the picture (PNG) or the video (MP4) with what was found drawn on it", [flags] { run(*flags); });
}

}  // namespace nuri::cli
