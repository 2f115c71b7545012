#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/component.h"

namespace nuri {

// Takes text in, token by token, and hands on what is sure. Tokens come in chunks; `end` marks the last of a token.
class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  virtual void push(std::string_view chunk, bool end) = 0;
  // No token follows.
  virtual void finish() = 0;
};

// The last stage of a tokenizer: turns tokens back into text ("decoder" of tokenizer.json). The stages work as a
// stream, so that decoding token by token gives the text of decoding all at once.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // A fresh stage that hands its tokens to `next`, which must outlive it.
  virtual std::unique_ptr<DecodeStage> start(DecodeStage& next) const = 0;
};

// Error(unsupported) for an unknown kind, Error(format) for a broken one.
std::unique_ptr<Decoder> read_decoder(const Component& component);
// For a file without a decoder: tokens with spaces between.
std::unique_ptr<Decoder> joining_decoder();

}  // namespace nuri
