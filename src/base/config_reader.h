#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nuri {

using Json = nlohmann::ordered_json;

// Parses JSON text; `name` stands in the message. Nesting deeper than 200 is refused, since what walks
// the document may recurse. Throws Error(format) with the position of the first offence.
Json parse_json(std::string_view text, std::string_view name);
Json read_json_file(const std::filesystem::path& path);

// Parses TOML into the same tree that JSON gives, so that one reader serves both.
Json read_toml_file(const std::filesystem::path& path);

// Typed access to one object of a JSON or TOML document. Each read names the file and the full key in
// its error, remembers that the key was known, and lists the defaults that were assumed.
//
//   ConfigReader config(read_json_file(path), path.string());
//   int64_t hidden = config.required<int64_t>("hidden_size");
//   double theta = config.optional("rope_theta", 10000.0);
//   ConfigReader vision = config.child("vision_config");
class ConfigReader {
 public:
  // `document` must be an object, or Error(format).
  ConfigReader(Json document, std::string file);

  // True when the key is present and not null.
  bool has(std::string_view key) const;

  // T: bool, int64_t, double, std::string, std::vector of those, or Json.
  template <class T>
  T required(std::string_view key) const;

  // The value, or `fallback`, which is then recorded in assumed(). Null counts as absent.
  template <class T>
  T optional(std::string_view key, T fallback) const;

  // The value if present; absence is no assumption.
  template <class T>
  std::optional<T> maybe(std::string_view key) const;

  // An object under `key`: required, or an empty one when absent.
  ConfigReader child(std::string_view key) const;
  ConfigReader child_or_empty(std::string_view key) const;

  // Error(unsupported) that says: file, key, the value found, and `expected`.
  [[noreturn]] void reject(std::string_view key, std::string_view expected) const;

  // Throws Error(usage) for the first key that no call has asked for, naming the nearest known one.
  // Recurses into the children that were opened.
  void refuse_unknown_keys() const;

  const Json& json() const { return *node_; }
  const std::string& file() const { return shared_->file; }
  // "file: vision_config.hidden_size"
  std::string where(std::string_view key) const;
  // Lines "vision_config.layer_norm_eps = 1e-05", in the order of reading, of the whole document.
  const std::vector<std::string>& assumed() const { return shared_->assumed; }

 private:
  struct Shared {
    Json document;
    std::string file;
    std::vector<std::string> assumed;
    std::vector<std::string> known;  // full keys that were asked for
  };
  ConfigReader(std::shared_ptr<Shared> shared, const Json* node, std::string prefix);
  const Json* find(std::string_view key) const;
  std::string full_key(std::string_view key) const;
  void refuse_unknown_keys(const Json& node, const std::string& prefix) const;

  std::shared_ptr<Shared> shared_;
  const Json* node_;
  std::string prefix_;
};

// Text out of a file as it may stand in a message: on one line, at most `limit` bytes and then "...".
std::string shown_text(std::string_view text, size_t limit = 120);

// The member of `known` with the smallest edit distance to `word`; empty when none is near.
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

}  // namespace nuri
