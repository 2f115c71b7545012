#include "base/config_reader.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/file.h"

namespace nuri {
namespace {

Json from_toml(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    Json object = Json::object();
    for (const auto& [key, value] : *table) object[std::string(key.str())] = from_toml(value);
    return object;
  }
  if (const auto* array = node.as_array()) {
    Json list = Json::array();
    for (const auto& value : *array) list.push_back(from_toml(value));
    return list;
  }
  if (auto value = node.as_string()) return value->get();
  if (auto value = node.as_integer()) return value->get();
  if (auto value = node.as_floating_point()) return value->get();
  if (auto value = node.as_boolean()) return value->get();
  throw Error(ErrorKind::format, "dates are not used here");
}

// A value as it stands in a message: short, on one line.
std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return shown_text(text, 60);
}

// Reads `value` as T, or gives nothing when the type does not fit.
template <class T>
struct Read;

template <>
struct Read<bool> {
  static constexpr const char* expected = "true or false";
  static std::optional<bool> from(const Json& v) {
    return v.is_boolean() ? std::optional(v.get<bool>()) : std::nullopt;
  }
};
template <>
struct Read<int64_t> {
  static constexpr const char* expected = "an integer";
  static std::optional<int64_t> from(const Json& v) {
    if (v.is_number_unsigned() && v.get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max())) return {};
    if (v.is_number_integer()) return v.get<int64_t>();
    // Some published files write 1e6 or 224.0 for an integer.
    if (v.is_number_float() && std::floor(v.get<double>()) == v.get<double>() && std::fabs(v.get<double>()) < 9e15)
      return static_cast<int64_t>(v.get<double>());
    return {};
  }
};
template <>
struct Read<double> {
  static constexpr const char* expected = "a number";
  static std::optional<double> from(const Json& v) {
    return v.is_number() ? std::optional(v.get<double>()) : std::nullopt;
  }
};
template <>
struct Read<std::string> {
  static constexpr const char* expected = "a string";
  static std::optional<std::string> from(const Json& v) {
    return v.is_string() ? std::optional(v.get<std::string>()) : std::nullopt;
  }
};
template <>
struct Read<Json> {
  static constexpr const char* expected = "a value";
  static std::optional<Json> from(const Json& v) { return v; }
};
template <class T>
struct Read<std::vector<T>> {
  static constexpr const char* expected = "a list";
  static std::optional<std::vector<T>> from(const Json& v) {
    if (!v.is_array()) return {};
    std::vector<T> list;
    for (const auto& item : v) {
      auto one = Read<T>::from(item);
      if (!one) return {};
      list.push_back(std::move(*one));
    }
    return list;
  }
};

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j)
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])}));
  }
  return row[b.size()];
}

}  // namespace

Json read_toml_file(const std::filesystem::path& path) {
  std::string text = read_file(path, size_t{16} << 20);
  try {
    return from_toml(toml::parse(text, path.string()));
  } catch (const toml::parse_error& error) {
    auto at = error.source().begin;
    throw Error(ErrorKind::format, fmt::format("{}:{}:{}: found no valid TOML: {}", path.string(), at.line, at.column,
                                               error.description()));
  }
}

ConfigReader::ConfigReader(Json document, std::string file)
    : shared_(std::make_shared<Shared>(Shared{std::move(document), std::move(file), {}, {}})),
      node_(&shared_->document) {
  if (!node_->is_object())
    throw Error(ErrorKind::format, fmt::format("{}: found {}, expected an object", shared_->file, shown(*node_)));
}

ConfigReader::ConfigReader(std::shared_ptr<Shared> shared, const Json* node, std::string prefix)
    : shared_(std::move(shared)), node_(node), prefix_(std::move(prefix)) {}

std::string ConfigReader::full_key(std::string_view key) const { return prefix_ + std::string(key); }

std::string ConfigReader::where(std::string_view key) const {
  return fmt::format("{}: {}", shared_->file, full_key(key));
}

const Json* ConfigReader::find(std::string_view key) const {
  shared_->known.push_back(full_key(key));
  auto it = node_->find(std::string(key));
  return it == node_->end() || it->is_null() ? nullptr : &*it;
}

bool ConfigReader::has(std::string_view key) const { return find(key) != nullptr; }

template <class T>
std::optional<T> ConfigReader::maybe(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  auto read = Read<T>::from(*value);
  if (!read)
    throw Error(ErrorKind::format,
                fmt::format("{}: found {}, expected {}", where(key), shown(*value), Read<T>::expected));
  return read;
}

template <class T>
T ConfigReader::required(std::string_view key) const {
  auto value = maybe<T>(key);
  if (!value) throw Error(ErrorKind::format, fmt::format("{}: not found, expected {}", where(key), Read<T>::expected));
  return *std::move(value);
}

template <class T>
T ConfigReader::optional(std::string_view key, T fallback) const {
  if (auto value = maybe<T>(key)) return *std::move(value);
  std::string line = fmt::format("{} = {}", full_key(key), shown(Json(fallback)));
  auto& assumed = shared_->assumed;
  if (std::find(assumed.begin(), assumed.end(), line) == assumed.end()) assumed.push_back(std::move(line));
  return fallback;
}

#define NURI_CONFIG_TYPE(T)                                                 \
  template std::optional<T> ConfigReader::maybe<T>(std::string_view) const; \
  template T ConfigReader::required<T>(std::string_view) const;             \
  template T ConfigReader::optional<T>(std::string_view, T) const;
NURI_CONFIG_TYPE(bool)
NURI_CONFIG_TYPE(int64_t)
NURI_CONFIG_TYPE(double)
NURI_CONFIG_TYPE(std::string)
NURI_CONFIG_TYPE(Json)
NURI_CONFIG_TYPE(std::vector<int64_t>)
NURI_CONFIG_TYPE(std::vector<double>)
NURI_CONFIG_TYPE(std::vector<std::string>)
NURI_CONFIG_TYPE(std::vector<Json>)
#undef NURI_CONFIG_TYPE

ConfigReader ConfigReader::child(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) throw Error(ErrorKind::format, fmt::format("{}: not found, expected an object", where(key)));
  if (!value->is_object())
    throw Error(ErrorKind::format, fmt::format("{}: found {}, expected an object", where(key), shown(*value)));
  return ConfigReader(shared_, value, full_key(key) + ".");
}

ConfigReader ConfigReader::child_or_empty(std::string_view key) const {
  static const Json empty = Json::object();
  if (find(key) == nullptr) return ConfigReader(shared_, &empty, full_key(key) + ".");
  return child(key);
}

void ConfigReader::reject(std::string_view key, std::string_view expected) const {
  const Json* value = find(key);
  throw Error(ErrorKind::unsupported, fmt::format("{}: found {}, expected {}", where(key),
                                                  value == nullptr ? "nothing" : shown(*value), expected));
}

void ConfigReader::refuse_unknown_keys() const { refuse_unknown_keys(shared_->document, ""); }

void ConfigReader::refuse_unknown_keys(const Json& node, const std::string& prefix) const {
  std::vector<std::string> known_here;
  for (const auto& full : shared_->known)
    if (full.starts_with(prefix) && full.find('.', prefix.size()) == std::string::npos)
      known_here.push_back(full.substr(prefix.size()));
  for (const auto& [key, value] : node.items()) {
    if (std::find(known_here.begin(), known_here.end(), key) == known_here.end()) {
      std::string nearest = nearest_word(key, known_here);
      throw Error(ErrorKind::usage,
                  fmt::format("{}: found the unknown key {}{}{}", shared_->file, shown_text(prefix), shown_text(key),
                              nearest.empty() ? "" : fmt::format(", did you mean {}?", nearest)));
    }
    std::string inner = prefix + key + ".";
    bool opened = std::any_of(shared_->known.begin(), shared_->known.end(),
                              [&](const auto& full) { return full.starts_with(inner); });
    if (value.is_object() && opened) refuse_unknown_keys(value, inner);
  }
}

std::string shown_text(std::string_view text, size_t limit) {
  std::string line(text.substr(0, limit));
  if (line.size() < text.size()) {
    // Never half a UTF-8 character.
    while (!line.empty() && (line.back() & 0xC0) == 0x80) line.pop_back();
    if (!line.empty() && (line.back() & 0x80) != 0) line.pop_back();
    line += "...";
  }
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return line;
}

std::string nearest_word(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 2) + 1;
  for (const auto& candidate : known) {
    size_t gap = std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size());
    if (gap >= best_distance) continue;  // the distance is at least that
    size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) best_distance = distance, best = candidate;
  }
  return best;
}

}  // namespace nuri
