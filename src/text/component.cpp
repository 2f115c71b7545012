#include "text/component.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/unicode.h"

namespace nuri {

bool is_integer_between(const Json& value, int64_t low, int64_t high) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}) return false;
  return value.is_number_integer() && value.get<int64_t>() >= low && value.get<int64_t>() <= high;
}

std::string shown_json(const Json& value) {
  if (value.is_structured() && value.size() > 8)
    return value.is_array() ? fmt::format("a list of {}", value.size()) : fmt::format("an object of {}", value.size());
  return shown_text(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

Component::Component(const Json& node, std::string file, std::string path)
    : node_(&node), file_(std::move(file)), path_(std::move(path)) {
  if (!node.is_object())
    throw Error(ErrorKind::format, fmt::format("{}: {}: found {}, expected an object", file_, path_, shown_json(node)));
}

std::string Component::path(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

std::string Component::where(std::string_view key) const { return fmt::format("{}: {}", file_, path(key)); }

const Json* Component::find(std::string_view key) const {
  for (auto it = node_->begin(); it != node_->end(); ++it)
    if (it.key() == key) return it->is_null() ? nullptr : &*it;
  return nullptr;
}

const Json& Component::at(std::string_view key) const {
  if (const Json* value = find(key)) return *value;
  throw Error(ErrorKind::format, fmt::format("{}: not found, expected a value", where(key)));
}

std::string Component::string(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_string()) fail(key, shown_json(value), "a string");
  return value.get<std::string>();
}

bool Component::boolean(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_boolean()) fail(key, shown_json(value), "true or false");
  return value.get<bool>();
}

bool Component::boolean(std::string_view key, bool fallback) const { return has(key) ? boolean(key) : fallback; }

int64_t Component::integer(std::string_view key, int64_t low, int64_t high) const {
  const Json& value = at(key);
  if (!is_integer_between(value, low, high))
    fail(key, shown_json(value), fmt::format("an integer between {} and {}", low, high));
  return value.get<int64_t>();
}

char32_t Component::character(std::string_view key) const {
  const std::string text = string(key);
  if (count_code_points(text) != 1) fail(key, shown_json(at(key)), "one character");
  size_t position = 0;
  return next_code_point(text, position);
}

Component Component::child(std::string_view key) const { return Component(at(key), file_, path(key)); }

Component Component::child(std::string_view key, size_t index) const {
  return Component(list(key)[index], file_, fmt::format("{}[{}]", path(key), index));
}

const Json& Component::list(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_array()) fail(key, shown_json(value), "a list");
  return value;
}

void Component::reject(std::string_view key, std::string_view expected) const {
  throw Error(ErrorKind::unsupported,
              fmt::format("{}: found {}, expected {}", where(key), shown_json(at(key)), expected));
}

void Component::fail(std::string_view key, std::string_view found, std::string_view expected) const {
  throw Error(ErrorKind::format, fmt::format("{}: found {}, expected {}", where(key), found, expected));
}

}  // namespace nuri
