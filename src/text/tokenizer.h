#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/config_reader.h"

namespace nuri {

// Text to token ids and back, as the `tokenizers` library does it from a tokenizer.json: normalizer, added tokens,
// pre-tokenizer, model (BPE, Unigram, WordPiece, WordLevel), post-processor, decoder. Truncation and padding of
// the file are not applied. Copies share one immutable tokenizer; const use from several threads is safe.
class Tokenizer {
 public:
  // Reads tokenizer.json of a folder, and from tokenizer_config.json what the reference takes from there: further
  // added and special tokens. Beside a tokenizer.json the reference ignores add_bos_token and add_eos_token; so does
  // this: the post-processor alone says what is added. A GGUF file in place of a folder tells it in its metadata.
  // Throws Error(usage) when tokenizer.json is missing, Error(format) for a broken file, Error(unsupported) for a
  // component that nuri does not know.
  static Tokenizer from_folder(const std::filesystem::path& folder);
  // `file` stands in messages.
  static Tokenizer from_json(const Json& document, std::string file);

  // Added tokens in the text are recognised. `add_special`: with what the post-processor adds. Broken UTF-8 is read
  // as U+FFFD. Throws Error(resource) when a regular expression of the file takes too many steps, Error(format)
  // when the text has a character that is unknown to a vocabulary without an unknown token.
  std::vector<int32_t> encode(std::string_view text, bool add_special = true) const;
  // Ids without a token are left out. The text is valid UTF-8, with U+FFFD for bytes that are none.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  std::optional<int32_t> id_of(std::string_view token) const;
  std::string token_of(int32_t id) const;  // "" if none
  bool is_special(int32_t id) const;
  int64_t vocab_size() const;  // the highest id + 1

 private:
  struct Parts;
  friend class StreamDecoder;
  explicit Tokenizer(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  static Tokenizer build(const Json& document, const std::string& file, const Json* config,
                         const std::string& config_file);

  std::shared_ptr<const Parts> parts_;
};

// Decodes token by token. What push() returns never ends inside a character, and all that it and finish() return is
// together the text of decode(); text that a later token may still change is held back.
class StreamDecoder {
 public:
  StreamDecoder(const Tokenizer& tokenizer, bool skip_special);
  ~StreamDecoder();
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;

  std::string push(int32_t id);
  // No token follows; the decoder is then used up.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nuri
