#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "generate/engine.h"
#include "generate/stop_strings.h"
#include "text/tokenizer.h"

namespace nuri {

using TextCallback = std::function<void(std::string_view piece)>;

// Turns one sequence's tokens into text as they come: never splits a character, never shows a stop string or what may
// yet become one.
class TextStream {
 public:
  TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops, bool skip_special, TextCallback on_text);

  // False when a stop string has come: no token is wanted any more.
  bool push(int64_t id);
  // No token follows: shows what was held back.
  void finish();
  const std::string& text() const { return text_; }

 private:
  void show(const std::string& piece);

  StreamDecoder decoder_;
  StopStrings stops_;
  TextCallback on_text_;
  std::string text_;
};

struct TextRequest {
  Request request;            // `on_token` is the text's own
  bool skip_special = true;   // leave special tokens out of the text
  TextCallback on_text = {};  // each piece as it is made
};

struct TextAnswer {
  std::string text;
  Generation generation;  // ids, reason, timings
};

// Answers one request on an engine. After Ctrl-C: what was said so far, with FinishReason::interrupted. Throws as
// Engine does; the sequence is then forgotten.
TextAnswer generate_text(Engine& engine, const Tokenizer& tokenizer, TextRequest request);

}  // namespace nuri
