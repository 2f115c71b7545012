#pragma once

#include <memory>

#include "common.h"

namespace nuri {

struct Tokenized {
  std::vector<int32_t> ids;
  std::string text;  // the ids decoded, special tokens kept; of a chat, the rendered prompt
};

// A model's tokenizer and chat template; needs no weights.
class TextTools {
 public:
  explicit TextTools(const std::string& model);
  ~TextTools();

  Tokenized encode(const std::string& text, bool special) const;
  // messages: JSON text, a list of {"role", "content"}; source: its name in errors.
  Tokenized chat(const std::string& messages_json, const std::string& source = "messages") const;
  Tokenized decode(const std::vector<int32_t>& ids) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace nuri
