#include <fmt/format.h>

#include "base/file.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "tasks/match.h"

namespace nuri::cli {
namespace {

struct Flags {
  ModelOptions model;
  PictureLimits limits;
  std::vector<std::string> pictures, texts;
  std::string lines, output;
};

void print_rows(const char* key, const std::vector<std::string>& names, const Embeddings& rows) {
  for (int64_t i = 0; i < rows.count(); ++i) {
    std::vector<float> row(rows.row(i), rows.row(i) + rows.width);
    print_json({{key, names[static_cast<size_t>(i)]}, {"embedding", row}});
  }
}

void run(Flags& flags) {
  if (!flags.lines.empty()) {
    auto lines = read_labels(flags.lines);
    flags.texts.insert(flags.texts.end(), lines.begin(), lines.end());
  }
  if (flags.pictures.empty() && flags.texts.empty())
    throw Error(ErrorKind::usage, "found neither a picture (-i) nor a text (-t, --lines), expected one of them");
  if (!flags.output.empty()) expect_writable(flags.output);
  Matcher matcher(flags.model);
  Embeddings seen = matcher.embed_pictures(flags.pictures, flags.limits), said;
  if (!flags.texts.empty()) said = matcher.embed_texts(flags.texts);
  if (flags.output.empty()) {
    print_rows("picture", flags.pictures, seen);
    return print_rows("text", flags.texts, said);
  }
  if (seen.width == 0) seen.width = said.width;
  seen.values.insert(seen.values.end(), said.values.begin(), said.values.end());
  write_npy(flags.output, seen);
}

}  // namespace

void add_embed(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "embed", "Turn pictures and texts into vectors of one space",
                            "nuri embed emoji-match -i docs/cat.png -t \"a cat\" -o vectors.npy");
  add_model_flags(verb, flags->model);
  auto settle = add_pictures(verb, flags->pictures, {&flags->model.model}, "A picture (JPEG, PNG, WebP)");
  verb->add_option("-t,--text", flags->texts, "A text");
  verb->add_option("--lines", flags->lines, "A file of texts, one a line");
  verb->add_option(
      "-o", flags->output,
      "Write one matrix (.npy, float32), pictures before texts, in place of JSON lines on standard output");
  add_max_pixels(verb, flags->limits);
  verb->callback([flags, settle] {
    settle();
    run(*flags);
  });
}

}  // namespace nuri::cli
