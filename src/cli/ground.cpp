#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include "tasks/ground.h"

namespace nuri::cli {
namespace {

struct Flags {
  ModelOptions model;
  GenerationOptions generation;
  PictureLimits limits;
  std::string question;
  std::optional<std::string> draw;
  std::vector<std::string> pictures, videos;
  VideoOptions video;
  bool json = false;
};

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
  Json points = Json::array();
  for (const auto& point : answer.points) points.push_back({{"label", point.label}, {"point", {point.x, point.y}}});
  return {{"text", answer.text}, {"boxes", boxes_json(answer.boxes)}, {"points", points}};
}

Json frames_json(const std::vector<GroundedFrame>& frames) {
  Json list = Json::array();
  for (const auto& frame : frames) {
    Json boxes = Json::array(), points = Json::array();
    for (const auto& [track, box] : frame.boxes)
      boxes.push_back({{"label", box.label}, {"box", {box.x1, box.y1, box.x2, box.y2}}, {"track", track}});
    for (const auto& point : frame.points) points.push_back({{"label", point.label}, {"point", {point.x, point.y}}});
    list.push_back({{"seconds", frame.seconds}, {"text", frame.text}, {"boxes", boxes}, {"points", points}});
  }
  return {{"frames", list}};
}

void run_video(const Flags& flags) {
  Assistant assistant(flags.model);
  auto frames = ground_video(assistant, flags.question, flags.videos.front(), flags.video, flags.generation);
  if (flags.draw) draw_tracks(flags.videos.front(), frames, *flags.draw, flags.video);
  if (flags.json) return print_json(frames_json(frames));
  for (const auto& frame : frames)
    for (const auto& [track, box] : frame.boxes)
      print(fmt::format("{:8.2f} s  #{:<3} {:7.1f} {:7.1f} {:7.1f} {:7.1f}  {}\n", frame.seconds, track + 1, box.x1,
                        box.y1, box.x2, box.y2, label_of(box.label)));
}

void run(Flags& flags) {
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
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "ground", "Say where something is, in pixels of the picture or video",
                            "nuri ground emoji-world \"Where is the cat?\" -i docs/scene.png --draw places.png");
  add_model_flags(verb, flags->model);
  verb->add_option("QUESTION", flags->question, "What to look for, in the words that the model knows")->required();
  auto settle =
      add_pictures(verb, flags->pictures, {&flags->model.model, &flags->question}, "A picture (JPEG, PNG, WebP)");
  add_videos(verb, flags->videos, flags->video);
  verb->add_option("--draw", flags->draw, "Write the picture (PNG) or the video (MP4) with what was found drawn on it");
  verb->add_flag("--json", flags->json, "One JSON object in place of the lines");
  add_generation_flags(verb, flags->generation);
  add_max_pixels(verb, flags->limits);
  verb->callback([flags, settle] {
    settle();
    run(*flags);
  });
}

}  // namespace nuri::cli
