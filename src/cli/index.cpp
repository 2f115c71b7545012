#include <fmt/format.h>

#include "cli/cli.h"
#include "tasks/search.h"

namespace nuri::cli {
namespace {

struct Flags {
  IndexRequest request;
  bool json = false;
};

void run(const Flags& flags) {
  IndexReport report = index_folder(flags.request);
  if (flags.json)
    return print_json({{"added", report.added},
                       {"changed", report.changed},
                       {"removed", report.removed},
                       {"unchanged", report.unchanged},
                       {"unreadable", report.unreadable}});
  print(fmt::format("{} added, {} changed, {} removed, {} unchanged, {} unreadable\n", report.added, report.changed,
                    report.removed, report.unchanged, report.unreadable));
}

}  // namespace

void add_index(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "index", "Make a folder's pictures searchable, or bring its index up to date",
                            "nuri index emoji-match docs -o docs-index");
  add_model_flags(verb, flags->request.model);
  verb->add_option("FOLDER", flags->request.folder, "A folder with pictures, at any depth")->required();
  verb->add_option("-o", flags->request.index, "Where the index lies; without it, .nuri-index in the folder");
  verb->add_flag("--json", flags->json, "One JSON object in place of the line");
  add_max_pixels(verb, flags->request.limits);
  verb->callback([flags] { run(*flags); });
}

}  // namespace nuri::cli
