#include "tasks/tokenize.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/cli.h"

namespace nuri::cli {
namespace {

struct Flags {
  std::string model;
  std::optional<std::string> text, chat, decode, lines;
  bool no_special = false;
};

Json as_json(const Tokenized& result) { return {{"ids", result.ids}, {"text", result.text}}; }

// "1,2,3", "1 2 3" or "[1, 2, 3]"
std::vector<int32_t> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  size_t at = 0;
  while ((at = text.find_first_not_of(" ,[]\n\t", at)) != std::string::npos) {
    size_t end = std::min(text.find_first_of(" ,[]\n\t", at), text.size());
    std::string word = text.substr(at, end - at);
    if (word.find_first_not_of("0123456789") != std::string::npos || word.size() > 9)
      throw Error(ErrorKind::usage,
                  fmt::format("--decode: found {}, expected token ids such as 1,2,3", word.substr(0, 40)));
    ids.push_back(std::stoi(word));
    at = end;
  }
  return ids;
}

// All lines are read before the first answer is printed, so that a broken one leaves no half of an output.
std::vector<std::string> read_lines(const std::string& file) {
  std::string all = read_file(file);
  std::vector<std::string> texts;
  size_t begin = 0, number = 1;
  while (begin < all.size()) {
    size_t end = std::min(all.find('\n', begin), all.size());
    std::string_view line = std::string_view(all).substr(begin, end - begin);
    if (!line.empty()) {
      std::string where = fmt::format("{}:{}", file, number);
      Json value = parse_json(line, where);
      if (!value.is_string()) throw Error(ErrorKind::format, where + ": expected a JSON string");
      texts.push_back(value.get<std::string>());
    }
    begin = end + 1;
    ++number;
  }
  return texts;
}

void run(const Flags& flags) {
  int given = flags.text.has_value() + flags.chat.has_value() + flags.decode.has_value() + flags.lines.has_value();
  if (given != 1)
    throw Error(ErrorKind::usage, fmt::format("found {} of --text, --chat, --decode and --lines, expected one", given));
  TextTools tools(flags.model);
  if (flags.text) print_json(as_json(tools.encode(*flags.text, !flags.no_special)));
  if (flags.chat) print_json(as_json(tools.chat(read_file(*flags.chat), *flags.chat)));
  if (flags.decode) print_json(as_json(tools.decode(parse_ids(*flags.decode))));
  if (flags.lines)
    for (const auto& text : read_lines(*flags.lines)) print_json(as_json(tools.encode(text, !flags.no_special)));
}

}  // namespace

void add_tokenize(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "tokenize", "Text to token ids and back; needs no weights",
                            "nuri tokenize emoji-world --text \"Where is the cat?\"");
  verb->add_option("MODEL", flags->model, "A model folder, a GGUF file, or the name of a bundled model")->required();
  verb->add_option("--text", flags->text, "Text to encode");
  verb->add_option("--chat", flags->chat, "A JSON file with messages, rendered by the model's chat template");
  verb->add_option("--decode", flags->decode, "Token ids to decode: 1,2,3");
  verb->add_option("--lines", flags->lines, "A file with one JSON string a line; one JSON object a line is the answer");
  verb->add_flag("--no-special", flags->no_special, "Without what the post-processor adds");
  verb->callback([flags] { run(*flags); });
}

}  // namespace nuri::cli
