#include "tasks/ask.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/arguments.h"
#include "cli/question.h"
#include "tasks/explain.h"

namespace nuri::cli {
namespace {

struct Flags : QuestionFlags {
  SpeculationOptions speculation;
  std::optional<std::string> routing, explain;
  ExplainOptions explaining;
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

Json parts_json(const std::vector<ExplainedPart>& parts) {
  Json list = Json::array();
  for (const auto& part : parts)
    list.push_back(
        {{"picture", part.picture}, {"box", {part.x1, part.y1, part.x2, part.y2}}, {"strength", part.strength}});
  return list;
}

Json explanation_json(const Explanation& explanation) {
  return {{"log_likelihood", explanation.log_likelihood},
          {"measurements", explanation.measurements},
          {"regions", parts_json(explanation.regions)},
          {"cells", parts_json(explanation.cells)}};
}

// Prints the answer as it is made; a line that Ctrl-C cuts off is ended.
Answer said(Conversation& conversation, const Flags& flags) {
  if (flags.json) return conversation.say(flags.question, flags.generation);
  bool begun = false;
  auto show = [&](std::string_view piece) {
    print(piece);
    begun = true;
  };
  try {
    Answer answer = conversation.say(flags.question, flags.generation, show);
    print("\n");
    return answer;
  } catch (const Error& error) {
    if (begun && error.kind() == ErrorKind::interrupted) print("\n");
    throw;
  }
}

// Refuses before long work.
void check(const Flags& flags) {
  for (const auto& [name, output] : {std::pair("--draw", &flags.draw), std::pair("--explain", &flags.explain)}) {
    if (!*output) continue;
    if (flags.pictures.empty())
      throw Error(ErrorKind::usage, fmt::format("{}: found no picture to draw on, expected -i PICTURE", name));
    if (!flags.videos.empty())
      throw Error(ErrorKind::usage,
                  fmt::format("{}: found a video, expected pictures alone (nuri ground draws on a video)", name));
  }
  if (flags.explain && flags.draw == flags.explain)
    throw Error(ErrorKind::usage,
                fmt::format("--explain: found {}, expected another file than that of --draw", *flags.explain));
  int64_t least = fewest_measurements(flags.pictures.size());
  if (flags.explain && flags.explaining.most_measurements < least)
    throw Error(ErrorKind::usage, fmt::format("--explain-measurements: found {}, expected at least {} (pictures: {})",
                                              flags.explaining.most_measurements, least, flags.pictures.size()));
  for (const auto& output : {flags.draw, flags.explain, flags.routing})
    if (output) expect_writable(*output);
}

void run(const Flags& flags) {
  check(flags);
  Assistant assistant(flags.model);
  assistant.speculate(flags.speculation);
  assistant.show_routing(flags.routing.has_value());
  Conversation conversation(assistant);
  for (const auto& picture : flags.pictures) conversation.add_picture(picture, flags.limits);
  for (const auto& video : flags.videos) conversation.add_video(video, flags.video);
  Answer answer = said(conversation, flags);
  if (flags.draw) draw_places(flags.pictures.back(), answer, *flags.draw, flags.limits);
  if (flags.routing) write_file_atomically(*flags.routing, answer.routing + "\n");
  Json told = answer_json(answer);
  if (flags.speculation.asked()) told["speculation"] = speculation_json(answer.speculation);
  if (flags.explain) {
    Explanation explanation = explain(conversation, flags.explaining);
    draw_explanation(flags.pictures, explanation, *flags.explain, flags.limits);
    told["explain"] = explanation_json(explanation);
  }
  if (flags.json) print_json(told);
}

}  // namespace

void add_ask(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "ask", "Ask a model a question, about pictures if you like",
                            "nuri ask emoji-world \"What is in the picture?\" -i docs/scene.png --draw answer.png");
  add_question(verb, *flags, "What you want to know", "Write the picture with the answer's boxes drawn (PNG)",
               [flags] { run(*flags); });
  verb->add_option(
      "--explain", flags->explain,
      "Write the picture under a heat map of what the answer rests on (PNG; several pictures side by side), "
      "found by hiding one part after another; with --json also as numbers");
  verb->add_option("--explain-measurements", flags->explaining.most_measurements,
                   "Parts that are hidden for --explain, at most: each takes as long as reading the question")
      ->check(at_least(1))
      ->capture_default_str();
  add_speculation_flags(verb, flags->speculation);
  verb->add_option("--routing", flags->routing, "Write which experts worked on which token (JSON)")
      ->excludes("--draft");
}

}  // namespace nuri::cli
