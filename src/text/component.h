#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/config_reader.h"

namespace nuri {

// One object of a tokenizer file with the way to it, for reading its fields and for messages:
// "tokenizer.json: pre_tokenizer.pretokenizers[0].behavior: found 3, expected a string".
class Component {
 public:
  // Error(format) unless `node` is an object.
  Component(const Json& node, std::string file, std::string path);

  std::string type() const { return string("type"); }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  // Null counts as absent.
  const Json* find(std::string_view key) const;
  const Json& at(std::string_view key) const;

  std::string string(std::string_view key) const;
  bool boolean(std::string_view key) const;
  bool boolean(std::string_view key, bool fallback) const;
  // An integer of [low, high].
  int64_t integer(std::string_view key, int64_t low, int64_t high) const;
  // A string of exactly one character.
  char32_t character(std::string_view key) const;
  Component child(std::string_view key) const;
  // The i-th object of the list under `key`.
  Component child(std::string_view key, size_t index) const;
  // The list under `key`.
  const Json& list(std::string_view key) const;

  // "file: path.key"
  std::string where(std::string_view key) const;
  // Error(unsupported): the value under `key` is not one of `expected`.
  [[noreturn]] void reject(std::string_view key, std::string_view expected) const;
  // Error(format)
  [[noreturn]] void fail(std::string_view key, std::string_view found, std::string_view expected) const;

 private:
  std::string path(std::string_view key) const;
  const Json* node_;
  std::string file_, path_;
};

// True for an integer of [low, high].
bool is_integer_between(const Json& value, int64_t low, int64_t high);

// A value as a message shows it: short, on one line.
std::string shown_json(const Json& value);

}  // namespace nuri
