#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "text/jinja/arguments.h"
#include "text/jinja/codepoints.h"
#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"

// Filters on single values, and the table of all filters.
namespace nuri::jinja {
namespace {

Value default_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("default", arguments, {"default_value", "boolean"});
  bool boolean = bound.has(1) && truthy(interpreter, bound[1]);
  if (!input.is(Kind::undefined) && !(boolean && !truthy(interpreter, input))) return input;
  return bound.has(0) ? bound[0] : Value::string("");
}

Value length_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("length", arguments, {});
  int64_t length = interpreter.length(input);
  if (length < 0) fail(fmt::format("object of type '{}' has no len()", type_name(input)));
  return Value::integer(length);
}

// The digits of a number as int() and float() accept them: trimmed, without single underscores between digits.
std::optional<std::string> plain_digits(std::string_view text) {
  std::string out;
  text = strip(text, true, true);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    bool between = i > 0 && i + 1 < text.size() && std::isxdigit(static_cast<unsigned char>(text[i - 1])) &&
                   std::isxdigit(static_cast<unsigned char>(text[i + 1]));
    if (!between) return std::nullopt;
  }
  return out;
}

std::optional<int64_t> parse_integer(std::string_view source, int64_t base) {
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  std::optional<std::string> digits = plain_digits(source);
  if (!digits || digits->empty()) return std::nullopt;
  std::string_view text = *digits;
  bool negative = text[0] == '-';
  if (negative || text[0] == '+') text.remove_prefix(1);
  if (text.size() > 2 && text[0] == '0') {
    auto letter = static_cast<char>(text[1] | 0x20);
    int64_t named = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (named != 0 && (base == 0 || base == named)) {
      base = named;
      text.remove_prefix(2);
    }
  }
  if (base == 0) base = 10;
  uint64_t magnitude = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), magnitude, static_cast<int>(base));
  if (text.empty() || rest != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range || magnitude > static_cast<uint64_t>(INT64_MAX)) {
    fail(ErrorKind::unsupported, fmt::format("integer {} is beyond 64 bits", source));
  }
  return negative ? -static_cast<int64_t>(magnitude) : static_cast<int64_t>(magnitude);
}

std::optional<double> parse_real(std::string_view source) {
  std::optional<std::string> digits = plain_digits(source);
  if (!digits || digits->empty()) return std::nullopt;
  std::string text = lower(*digits);
  double sign = text[0] == '-' ? -1 : 1;
  if (text[0] == '-' || text[0] == '+') text.erase(0, 1);
  if (text == "inf" || text == "infinity") return sign * INFINITY;
  if (text == "nan") return NAN;
  if (text.empty() || !(text[0] == '.' || (text[0] >= '0' && text[0] <= '9'))) return std::nullopt;
  double value = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (rest != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) value = std::strtod(text.c_str(), nullptr);
  return sign * value;
}

std::optional<int64_t> truncate_real(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  if (std::fabs(value) >= 0x1p63) fail(ErrorKind::unsupported, "an integer beyond 64 bits");
  return static_cast<int64_t>(value);
}

Value int_filter(Interpreter&, const Value& input, const CallArguments& arguments) {
  Bound bound("int", arguments, {"default", "base"});
  std::optional<int64_t> result;
  if (input.is(Kind::undefined)) fail(input.text());
  if (input.is_integral()) {
    result = input.integer();
  } else if (input.is(Kind::real)) {
    if (std::isinf(input.real())) fail("cannot convert float infinity to integer");
    result = truncate_real(input.real());
  } else if (input.is(Kind::string)) {
    result = parse_integer(input.text(), bound.integer(1, 10));
    std::optional<double> real = result ? std::nullopt : parse_real(input.text());
    if (real) result = truncate_real(*real);
  }
  if (result) return Value::integer(*result);
  return bound.has(0) ? bound[0] : Value::integer(0);
}

Value float_filter(Interpreter&, const Value& input, const CallArguments& arguments) {
  Bound bound("float", arguments, {"default"});
  if (input.is(Kind::undefined)) fail(input.text());
  if (input.is_number()) return Value::real(input.real());
  if (input.is(Kind::string)) {
    if (std::optional<double> value = parse_real(input.text())) return Value::real(*value);
  }
  return bound.has(0) ? bound[0] : Value::real(0);
}

Value abs_filter(Interpreter&, const Value& input, const CallArguments& arguments) {
  Bound("abs", arguments, {});
  if (input.is(Kind::real)) return Value::real(std::fabs(input.real()));
  int64_t value = need_integer(input);
  if (value == INT64_MIN) fail(ErrorKind::unsupported, "an integer beyond 64 bits");
  return Value::integer(value < 0 ? -value : value);
}

// Python's round(): to the nearest, ties to even, of the exact decimal value.
double round_real(double value, int64_t digits) {
  if (!std::isfinite(value) || digits > 300) return value;
  if (digits >= 0) return std::strtod(fmt::format("{:.{}f}", value, digits).c_str(), nullptr);
  if (digits < -308) return std::copysign(0.0, value);
  double scale = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(value / scale) * scale;
}

int64_t round_integer(int64_t value, int64_t digits) {
  if (digits >= 0) return value;
  if (digits < -18) return 0;
  int64_t scale = 1;
  for (int64_t i = digits; i < 0; ++i) scale *= 10;
  int64_t rest = ((value % scale) + scale) % scale, low = value - rest;
  bool up = rest > scale - rest || (rest == scale - rest && (low / scale) % 2 != 0);
  return up ? low + scale : low;
}

Value round_filter(Interpreter&, const Value& input, const CallArguments& arguments) {
  Bound bound("round", arguments, {"precision", "method"});
  std::string method = bound.text(1, "common");
  if (method != "common" && method != "ceil" && method != "floor") fail("method must be common, ceil or floor");
  if (input.is(Kind::undefined)) fail(input.text());
  if (!input.is_number()) fail(fmt::format("type {} cannot be rounded", type_name(input)));
  if (method == "common") {
    if (bound.has(0) && bound[0].is(Kind::none) && input.is(Kind::real)) {
      std::optional<int64_t> whole = truncate_real(std::nearbyint(input.real()));
      if (!whole) fail("cannot convert an infinite float or NaN to integer");
      return Value::integer(*whole);
    }
    int64_t digits = bound.or_none(0).is(Kind::none) ? 0 : bound.integer(0, 0);
    return input.is(Kind::real) ? Value::real(round_real(input.real(), digits))
                                : Value::integer(round_integer(input.integer(), digits));
  }
  double scale = std::pow(10.0, static_cast<double>(bound.integer(0, 0)));
  double scaled = input.real() * scale;
  if (!std::isfinite(scaled) || scale == 0) fail("a number that is too big to be rounded");
  // Python's ceil and floor are integers, so there is no negative zero.
  return Value::real(((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) + 0.0) / scale);
}

// Only what Python calls attributes, not the items of a mapping.
Value attr_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("attr", arguments, {"name"}, 1);
  const std::string& name = need_text(bound[0]);
  if (input.is(Kind::dict) && !find_method(input, name)) {
    return Value::undefined(fmt::format("'dict' object has no attribute '{}'", name));
  }
  return interpreter.attribute(input, name);
}

Value file_size_format(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("filesizeformat", arguments, {"binary"});
  bool binary = bound.has(0) && truthy(interpreter, bound[0]);
  std::optional<double> bytes = input.is_number()        ? std::optional(input.real())
                                : input.is(Kind::string) ? parse_real(input.text())
                                                         : std::nullopt;
  if (!bytes || !std::isfinite(*bytes)) fail("filesizeformat needs a number");
  double base = binary ? 1024 : 1000;
  if (*bytes == 1) return Value::string("1 Byte");
  if (*bytes < base) return Value::string(fmt::format("{} Bytes", static_cast<int64_t>(std::trunc(*bytes))));
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  for (size_t i = 0;; ++i) {
    unit *= base;
    if (*bytes < unit || i + 1 == kPrefixes.size()) {
      std::string prefix = binary ? std::string(1, i == 0 ? 'K' : kPrefixes[i]) + "i" : std::string(1, kPrefixes[i]);
      return Value::string(fmt::format("{:.1f} {}B", base * *bytes / unit, prefix));
    }
  }
}

constexpr FilterEntry kValueFilters[] = {
    {"default", default_filter}, {"d", default_filter},
    {"length", length_filter},   {"count", length_filter},
    {"int", int_filter},         {"float", float_filter},
    {"abs", abs_filter},         {"round", round_filter},
    {"attr", attr_filter},       {"filesizeformat", file_size_format},
};

}  // namespace

FilterTable value_filters() { return {kValueFilters, std::size(kValueFilters)}; }

const FilterEntry* find_filter(std::string_view name) {
  static const std::map<std::string_view, const FilterEntry*> all = [] {
    std::map<std::string_view, const FilterEntry*> out;
    for (FilterTable table : {text_filters(), sequence_filters(), value_filters()}) {
      for (size_t i = 0; i < table.second; ++i) out[table.first[i].name] = &table.first[i];
    }
    return out;
  }();
  auto found = all.find(name);
  return found == all.end() ? nullptr : found->second;
}

}  // namespace nuri::jinja
