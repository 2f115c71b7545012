// Reads one JSON string a line from standard input and writes, for each, what the tokenizer of a file or folder makes
// of it:
// {"ids": with special tokens, "plain": ids without, "text": decoded, "skipped": decoded without special tokens}.
// Checks on the way that decoding token by token gives the same. Used by tests/parity/tokenizer_parity.py.
#include <fmt/format.h>

#include <iostream>

#include "base/error.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

using nuri::Json;

namespace {

std::string decode(const nuri::Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  const std::string text = tokenizer.decode(ids, skip_special);
  nuri::StreamDecoder stream(tokenizer, skip_special);
  std::string streamed;
  for (int32_t id : ids) {
    const std::string part = stream.push(id);
    if (nuri::valid_utf8(part) != part)
      throw nuri::Error(nuri::ErrorKind::internal, "found a stream that splits a character");
    streamed += part;
  }
  streamed += stream.finish();
  if (streamed != text) throw nuri::Error(nuri::ErrorKind::internal, "found a stream that differs from decode()");
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2)
      throw nuri::Error(nuri::ErrorKind::usage, "usage: nuri_tokenize_lines (tokenizer.json | folder) < lines");
    const auto tokenizer = std::filesystem::is_directory(argv[1])
                               ? nuri::Tokenizer::from_folder(argv[1])
                               : nuri::Tokenizer::from_json(nuri::read_json_file(argv[1]), argv[1]);
    for (std::string line; std::getline(std::cin, line);) {
      const std::string text = nuri::parse_json(line, "standard input").get<std::string>();
      const auto ids = tokenizer.encode(text), plain = tokenizer.encode(text, false);
      const Json answer = {{"ids", ids},
                           {"plain", plain},
                           {"text", decode(tokenizer, ids, false)},
                           {"skipped", decode(tokenizer, ids, true)}};
      std::cout << answer.dump() << "\n";
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}
