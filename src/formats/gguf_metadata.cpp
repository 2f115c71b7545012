#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "base/config_reader.h"
#include "base/error.h"
#include "formats/gguf.h"

namespace nuri {
namespace {

using Type = GgufValue::Type;

template <class T>
T number_at(std::span<const std::byte> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

bool is_float(Type type) { return type == Type::F32 || type == Type::F64; }

double float_at(const GgufValue& value, size_t i) {
  return value.type == Type::F32 ? number_at<float>(value.numbers, i) : number_at<double>(value.numbers, i);
}

// Nothing for what int64_t does not hold.
std::optional<int64_t> integer_at(const GgufValue& value, size_t i) {
  switch (value.type) {
    case Type::U8:
      return number_at<uint8_t>(value.numbers, i);
    case Type::I8:
      return number_at<int8_t>(value.numbers, i);
    case Type::U16:
      return number_at<uint16_t>(value.numbers, i);
    case Type::I16:
      return number_at<int16_t>(value.numbers, i);
    case Type::U32:
      return number_at<uint32_t>(value.numbers, i);
    case Type::I32:
      return number_at<int32_t>(value.numbers, i);
    case Type::I64:
      return number_at<int64_t>(value.numbers, i);
    case Type::U64: {
      auto found = number_at<uint64_t>(value.numbers, i);
      if (found <= uint64_t(std::numeric_limits<int64_t>::max())) return static_cast<int64_t>(found);
      return {};
    }
    default:
      return {};
  }
}

double double_at(const GgufValue& value, size_t i) {
  if (is_float(value.type)) return float_at(value, i);
  if (auto whole = integer_at(value, i)) return static_cast<double>(*whole);
  return static_cast<double>(number_at<uint64_t>(value.numbers, i));
}

std::string shown_value(const GgufValue& value) {
  if (value.is_list) return fmt::format("a list of {}", value.count);
  if (value.type == Type::TEXT) return fmt::format("\"{}\"", shown_text(value.texts[0]));
  if (value.type == Type::BOOL) return number_at<uint8_t>(value.numbers, 0) ? "true" : "false";
  if (is_float(value.type)) return fmt::format("{}", float_at(value, 0));
  if (auto whole = integer_at(value, 0)) return std::to_string(*whole);
  return std::to_string(number_at<uint64_t>(value.numbers, 0));
}

}  // namespace

GgufMetadata::GgufMetadata(std::string file, std::map<std::string, GgufValue, std::less<>> values)
    : file_(std::move(file)), values_(std::move(values)) {}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

const GgufValue* GgufMetadata::single(std::string_view key, std::string_view expected) const {
  const GgufValue* value = find(key);
  if (value != nullptr && value->is_list) fail(key, shown_value(*value), expected);
  return value;
}

std::optional<int64_t> GgufMetadata::integer(std::string_view key) const {
  constexpr std::string_view kExpected = "a whole number";
  const GgufValue* value = single(key, kExpected);
  if (value == nullptr) return {};
  auto found = integer_at(*value, 0);
  if (!found) fail(key, shown_value(*value), kExpected);
  return found;
}

std::optional<double> GgufMetadata::number(std::string_view key) const {
  constexpr std::string_view kExpected = "a number";
  const GgufValue* value = single(key, kExpected);
  if (value == nullptr) return {};
  if (value->type == Type::TEXT || value->type == Type::BOOL) fail(key, shown_value(*value), kExpected);
  return double_at(*value, 0);
}

std::optional<bool> GgufMetadata::boolean(std::string_view key) const {
  constexpr std::string_view kExpected = "true or false";
  const GgufValue* value = single(key, kExpected);
  if (value == nullptr) return {};
  if (value->type != Type::BOOL) fail(key, shown_value(*value), kExpected);
  return number_at<uint8_t>(value->numbers, 0) != 0;
}

std::optional<std::string> GgufMetadata::text(std::string_view key) const {
  constexpr std::string_view kExpected = "a text";
  const GgufValue* value = single(key, kExpected);
  if (value == nullptr) return {};
  if (value->type != Type::TEXT) fail(key, shown_value(*value), kExpected);
  return std::string(value->texts[0]);
}

const std::vector<std::string_view>& GgufMetadata::texts(std::string_view key) const {
  static const std::vector<std::string_view> kNone;
  const GgufValue* value = find(key);
  if (value == nullptr) return kNone;
  if (!value->is_list || value->type != Type::TEXT) fail(key, shown_value(*value), "a list of texts");
  return value->texts;
}

std::vector<double> GgufMetadata::numbers(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_list || value->type == Type::TEXT || value->type == Type::BOOL)
    fail(key, shown_value(*value), "a list of numbers");
  std::vector<double> list(value->count);
  for (size_t i = 0; i < list.size(); ++i) list[i] = double_at(*value, i);
  return list;
}

int64_t GgufMetadata::required(std::string_view key, int64_t low, int64_t high) const {
  const std::string expected = fmt::format("a whole number from {} to {}", low, high);
  auto found = uniform(key);
  if (!found) fail(key, "nothing", expected);
  if (*found < low || *found > high) fail(key, std::to_string(*found), expected);
  return *found;
}

std::optional<int64_t> GgufMetadata::uniform(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr || !value->is_list) return integer(key);
  std::optional<int64_t> first = value->count > 0 ? integer_at(*value, 0) : std::nullopt;
  if (!first) fail(key, shown_value(*value), "a whole number, or a list of equal ones");
  for (size_t i = 1; i < value->count; ++i)
    if (integer_at(*value, i) != first)
      reject(key, fmt::format("{} and {}", *first, integer_at(*value, i).value_or(-1)), "the same for all layers");
  return first;
}

void GgufMetadata::fail(std::string_view key, std::string_view found, std::string_view expected) const {
  throw Error(ErrorKind::format,
              fmt::format("{}: metadata {}: found {}, expected {}", file_, shown_text(key), found, expected));
}

void GgufMetadata::reject(std::string_view key, std::string_view found, std::string_view expected) const {
  throw Error(ErrorKind::unsupported,
              fmt::format("{}: metadata {}: found {}, expected {}", file_, shown_text(key), found, expected));
}

}  // namespace nuri
