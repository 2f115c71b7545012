#include "tasks/ask.h"

#include "base/error.h"
#include "base/file.h"
#include "cli/arguments.h"
#include "cli/cli.h"

namespace nuri::cli {
namespace {

struct Flags {
  ModelOptions model;
  GenerationOptions generation;
  PictureLimits limits;
  std::string question;
  std::optional<std::string> draw, routing;
  std::vector<std::string> pictures, videos;
  VideoOptions video;
  bool json = false;
};

Json answer_json(const Answer& answer) {
  return {{"text", answer.text},
          {"boxes", boxes_json(answer.boxes)},
          {"tokens", {{"prompt", answer.prompt_tokens}, {"completion", answer.completion_tokens}}},
          {"timing",
           {{"load_s", answer.load_s},
            {"encode_s", answer.encode_s},
            {"prefill_s", answer.prefill_s},
            {"decode_s", answer.decode_s}}}};
}

Answer asked(Assistant& assistant, const Flags& flags, const TextCallback& on_text) {
  Conversation conversation(assistant);
  for (const auto& picture : flags.pictures) conversation.add_picture(picture, flags.limits);
  for (const auto& video : flags.videos) conversation.add_video(video, flags.video);
  return conversation.say(flags.question, flags.generation, on_text);
}

// Prints the answer as it is made; a line that Ctrl-C cuts off is ended.
Answer streamed(Assistant& assistant, const Flags& flags) {
  bool begun = false;
  auto show = [&](std::string_view piece) {
    print(piece);
    begun = true;
  };
  try {
    return asked(assistant, flags, show);
  } catch (const Error& error) {
    if (begun && error.kind() == ErrorKind::interrupted) print("\n");
    throw;
  }
}

void run(const Flags& flags) {
  if (flags.draw && flags.pictures.empty())
    throw Error(ErrorKind::usage, "--draw: found no picture to draw on, expected -i PICTURE");
  if (flags.draw && !flags.videos.empty())
    throw Error(ErrorKind::usage, "--draw: found a video, expected pictures alone (nuri ground draws on a video)");
  if (flags.draw) expect_writable(*flags.draw);
  if (flags.routing) expect_writable(*flags.routing);
  Assistant assistant(flags.model);
  assistant.show_routing(flags.routing.has_value());
  Answer answer = flags.json ? asked(assistant, flags, {}) : streamed(assistant, flags);
  if (flags.draw) draw_places(flags.pictures.back(), answer, *flags.draw, flags.limits);
  if (flags.routing) write_file_atomically(*flags.routing, answer.routing + "\n");
  if (flags.json) {
    print_json(answer_json(answer));
  } else {
    print("\n");
  }
}

}  // namespace

Json boxes_json(const std::vector<PictureBox>& boxes) {
  Json list = Json::array();
  for (const auto& box : boxes) list.push_back({{"label", box.label}, {"box", {box.x1, box.y1, box.x2, box.y2}}});
  return list;
}

void add_ask(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "ask", "Ask a model a question, about pictures if you like",
                            "nuri ask emoji-world \"What is in the picture?\" -i docs/scene.png --draw answer.png");
  add_model_flags(verb, flags->model);
  verb->add_option("QUESTION", flags->question, "What you want to know")->required();
  auto settle =
      add_pictures(verb, flags->pictures, {&flags->model.model, &flags->question}, "A picture (JPEG, PNG, WebP)");
  add_videos(verb, flags->videos, flags->video);
  verb->add_option("--draw", flags->draw, "Write the picture with the answer's boxes drawn (PNG)");
  verb->add_option("--routing", flags->routing, "Write which experts worked on which token (JSON)");
  verb->add_flag("--json", flags->json, "One JSON object in place of the text");
  add_generation_flags(verb, flags->generation);
  add_max_pixels(verb, flags->limits);
  verb->callback([flags, settle] {
    settle();
    run(*flags);
  });
}

}  // namespace nuri::cli
