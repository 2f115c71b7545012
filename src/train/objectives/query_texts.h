#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "models/parts/connectors/query_reader.h"
#include "text/tokenizer.h"

namespace nuri {

// Texts as a Q-Former reads them in BLIP-2's first stage: each begins with a token that says what is wanted of it.
class QueryTexts {
 public:
  enum class Begin { whole, told };  // [CLS]: to be understood; [DEC]: to be continued

  // Throws Error(usage) for a tokenizer without [CLS], [DEC] or [SEP].
  explicit QueryTexts(const std::filesystem::path& folder);

  // [B, L]: the beginning, the text, [SEP], and padding up to the longest.
  QueryReader::Text operator()(std::span<const std::string> texts, Begin begin) const;

  const Tokenizer& tokenizer() const { return tokenizer_; }
  int64_t begin_of(Begin begin) const { return begin == Begin::whole ? whole_ : told_; }
  int64_t end() const { return end_; }

 private:
  Tokenizer tokenizer_;
  int64_t whole_, told_, end_;
};

}  // namespace nuri
