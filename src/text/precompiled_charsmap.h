#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nuri {

// The normalization table of a SentencePiece model: a Darts double-array trie of source strings, each with the
// offset of its replacement in a list of zero-terminated strings (sentencepiece/src/normalizer.cc).
class PrecompiledCharsmap {
 public:
  // `base64` as in tokenizer.json. Throws Error(format) with `where` for what is no such table.
  PrecompiledCharsmap(std::string_view base64, std::string_view where);

  // The replacement of the shortest entry that starts `text`, as the reference takes it; nothing without an entry.
  std::optional<std::string_view> find(std::string_view text) const;

 private:
  std::vector<uint32_t> trie_;
  std::string replacements_;
};

}  // namespace nuri
