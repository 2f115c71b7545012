#include "tasks/match.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/terminal.h"

namespace nuri::cli {
namespace {

struct Flags {
  ModelOptions model;
  PictureLimits limits;
  std::vector<std::string> pictures, texts, templates;
  std::string labels;
  int64_t top = 0;
  bool json = false;
};

// A bar of `share` of 24 cells, in eighths of a cell.
std::string bar(double share) {
  constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  constexpr int kCells = 24;
  int eighths = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * kCells * 8)), cells = eighths / 8;
  std::string text;
  for (int i = 0; i < cells; ++i) text += "█";
  bool part = eighths % 8 != 0;
  if (part) text += kEighths[eighths % 8];
  return text + std::string(static_cast<size_t>(kCells - cells - part), ' ');
}

// Texts of one picture, the likeliest first.
std::vector<size_t> ranked(const std::vector<double>& chances, int64_t top) {
  std::vector<size_t> order(chances.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return chances[a] > chances[b]; });
  if (top > 0 && static_cast<size_t>(top) < order.size()) order.resize(static_cast<size_t>(top));
  return order;
}

Json to_json(const Flags& flags, const Match& match) {
  Json pictures = Json::array();
  for (size_t i = 0; i < flags.pictures.size(); ++i) {
    Json texts = Json::array();
    for (size_t text : ranked(match.probabilities[i], flags.top))
      texts.push_back({{"text", flags.texts[text]},
                       {"probability", match.probabilities[i][text]},
                       {"logit", match.logits[i][text]}});
    pictures.push_back({{"picture", flags.pictures[i]}, {"texts", texts}});
  }
  return {{"kind", match.kind}, {"pictures", pictures}};
}

void run(Flags& flags) {
  if (!flags.labels.empty()) {
    auto labels = read_labels(flags.labels);
    flags.texts.insert(flags.texts.end(), labels.begin(), labels.end());
  }
  Matcher matcher(flags.model);
  Match match = matcher.match(flags.pictures, flags.texts, flags.templates, flags.limits);
  if (flags.json) return print_json(to_json(flags, match));
  for (size_t i = 0; i < flags.pictures.size(); ++i) {
    if (flags.pictures.size() > 1) print(fmt::format("{}{}\n", i > 0 ? "\n" : "", one_line(flags.pictures[i])));
    for (size_t text : ranked(match.probabilities[i], flags.top)) {
      double chance = match.probabilities[i][text];
      print(fmt::format("{} {:5.1f} %  {}\n", bar(chance), 100 * chance, one_line(flags.texts[text])));
    }
  }
}

}  // namespace

void add_match(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "match", "Say how well texts fit pictures",
                            "nuri match emoji-match -i docs/cat.png -t \"a cat\" -t \"a dog\" -t 고양이");
  add_model_flags(verb, flags->model);
  auto settle = add_pictures(verb, flags->pictures, {&flags->model.model}, "A picture (JPEG, PNG, WebP)");
  verb->add_option("-t,--text", flags->texts, "A text");
  verb->add_option("--labels", flags->labels, "A file of texts, one a line");
  verb->add_option("--template", flags->templates,
                   "What surrounds each text, such as \"a photo of a {}\"; several are averaged");
  verb->add_option("--top", flags->top, "So many texts of each picture at most; 0: all")->check(at_least(0));
  verb->add_flag("--json", flags->json, "One JSON object in place of the bars");
  add_max_pixels(verb, flags->limits);
  verb->callback([flags, settle] {
    settle();
    run(*flags);
  });
}

}  // namespace nuri::cli
