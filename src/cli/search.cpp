#include "tasks/search.h"

#include <fmt/format.h>

#include "base/file.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/terminal.h"

namespace nuri::cli {
namespace {

struct Flags {
  SearchRequest request;
  std::string query, sheet;
  bool json = false;
};

void run(Flags& flags) {
  if (!flags.query.empty()) flags.request.texts = {flags.query};
  if (!flags.sheet.empty()) expect_writable(flags.sheet);
  std::vector<SearchHit> hits = search(flags.request);
  if (!flags.sheet.empty()) draw_sheet(hits, flags.sheet, flags.request.limits);
  Json list = Json::array();
  for (const auto& hit : hits) {
    if (flags.json)
      list.push_back({{"file", hit.file}, {"score", hit.score}});
    else
      print(fmt::format("{:6.3f}  {}\n", hit.score, one_line(hit.file)));
  }
  if (flags.json) print_json({{"hits", list}});
}

}  // namespace

void add_search(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "search", "Find the pictures of an index that are nearest to a text or a picture",
                            "nuri search docs-index \"a cat\" --sheet hits.png");
  verb->add_option("INDEX", flags->request.index, "A folder that was indexed, or the index itself")->required();
  verb->add_option("QUERY", flags->query, "A text");
  verb->add_option("-i,--picture", flags->request.pictures, "A picture to look for; with a text, both count alike");
  verb->add_option("-k", flags->request.count, "So many hits at most")->check(at_least(1))->capture_default_str();
  verb->add_option("--sheet", flags->sheet, "Also draw the hits side by side (PNG)");
  verb->add_option("--model", flags->request.model.model, "The model, where it no longer is what the index says");
  verb->add_option("--threads", flags->request.model.threads, "Threads; 0: all cores")->check(at_least(0));
  verb->add_flag("--json", flags->json, "One JSON object in place of the lines");
  add_max_pixels(verb, flags->request.limits);
  verb->callback([flags] { run(*flags); });
}

}  // namespace nuri::cli
