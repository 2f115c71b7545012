#pragma once

#include <string_view>
#include <vector>

namespace nuri {

// Where a new script begins, in bytes (the rules of SentencePiece's IsValidSentencePiece: Hiragana, Katakana and the
// prolonged sound mark count as Han, spaces as any script).
std::vector<size_t> script_starts(std::string_view text);

}  // namespace nuri
