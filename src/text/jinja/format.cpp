#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "text/jinja/arguments.h"
#include "text/jinja/codepoints.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/operators.h"

// printf-style and brace formatting, as str.__mod__ and str.format.
namespace nuri::jinja {
namespace {

constexpr int64_t kMaxPrecision = 10'000;

// What a conversion asks for, in either style.
struct Spec {
  std::string fill = " ";
  char align = 0;  // < > ^ =
  char sign = 0;   // + or space
  bool alternate = false;
  int64_t width = 0;
  int64_t precision = -1;
  char grouping = 0;
  char type = 0;
};

std::string pad(Runtime& runtime, const std::string& text, const Spec& spec, size_t prefix_bytes, char default_align) {
  auto length = static_cast<int64_t>(code_point_count(text));
  if (length >= spec.width) return text;
  auto missing = static_cast<size_t>(spec.width - length);
  runtime.charge_text(missing * spec.fill.size());
  auto filling = [&](size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i) out += spec.fill;
    return out;
  };
  switch (spec.align ? spec.align : default_align) {
    case '<':
      return text + filling(missing);
    case '^':
      return filling(missing / 2) + text + filling(missing - missing / 2);
    case '=':
      return text.substr(0, prefix_bytes) + filling(missing) + text.substr(prefix_bytes);
    default:
      return filling(missing) + text;
  }
}

std::string group(const std::string& digits, char separator, size_t every) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % every == 0) out += separator;
    out += digits[i];
  }
  return out;
}

std::string format_integer(Runtime& runtime, int64_t value, const Spec& spec) {
  uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  std::string prefix = value < 0 ? "-" : spec.sign ? std::string(1, spec.sign) : "";
  std::string digits;
  switch (spec.type) {
    case 'x':
    case 'X':
      digits = spec.type == 'x' ? fmt::format("{:x}", magnitude) : fmt::format("{:X}", magnitude);
      if (spec.alternate) prefix += spec.type == 'x' ? "0x" : "0X";
      break;
    case 'o':
      digits = fmt::format("{:o}", magnitude);
      if (spec.alternate) prefix += "0o";
      break;
    case 'b':
      digits = fmt::format("{:b}", magnitude);
      if (spec.alternate) prefix += "0b";
      break;
    default:
      digits = fmt::format("{}", magnitude);
  }
  if (spec.precision > static_cast<int64_t>(digits.size())) {
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  bool decimal = spec.type == 0 || spec.type == 'd' || spec.type == 'n';
  if (spec.grouping) digits = group(digits, spec.grouping, decimal ? 3 : 4);
  return pad(runtime, prefix + digits, spec, prefix.size(), '>');
}

std::string real_digits(double magnitude, char type, int64_t precision, bool alternate) {
  if (!std::isfinite(magnitude)) {
    std::string text = std::isnan(magnitude) ? "nan" : "inf";
    return type == 'F' || type == 'E' || type == 'G' ? upper(text) : text;
  }
  auto digits = static_cast<int>(precision < 0 ? 6 : precision);
  if ((type == 'g' || type == 'G') && digits == 0) digits = 1;
  std::string layout = fmt::format("{{:{}.{}{}}}", alternate ? "#" : "", digits, type);
  return fmt::format(fmt::runtime(layout), magnitude);
}

std::string format_real(Runtime& runtime, double value, Spec spec) {
  std::string prefix = std::signbit(value) && !std::isnan(value) ? "-" : spec.sign ? std::string(1, spec.sign) : "";
  double magnitude = std::fabs(value);
  std::string digits;
  if (spec.type == 0 && spec.precision < 0) {
    digits = float_repr(magnitude);
  } else if (spec.type == 0) {
    digits = real_digits(magnitude, 'g', spec.precision, spec.alternate);
    if (digits.find_first_not_of("0123456789") == std::string::npos) digits += ".0";
  } else if (spec.type == '%') {
    digits = real_digits(magnitude * 100, 'f', spec.precision, spec.alternate) + "%";
  } else {
    digits = real_digits(magnitude, spec.type == 'n' ? 'g' : spec.type, spec.precision, spec.alternate);
  }
  if (spec.grouping) {
    size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
    digits = group(digits.substr(0, whole), spec.grouping, 3) + digits.substr(whole);
  }
  return pad(runtime, prefix + digits, spec, prefix.size(), '>');
}

std::string cut(const std::string& text, int64_t precision) {
  return precision < 0 ? text : text.substr(0, byte_offset(text, static_cast<size_t>(precision)));
}

// str(), repr() or ascii(), by the letters that formats use.
std::string convert_to_text(Interpreter& interpreter, const Value& value, char letter) {
  if (letter == 's') return interpreter.str(value);
  std::string text = interpreter.repr(value);
  if (letter == 'r') return text;
  std::string out;
  for (size_t at = 0; at < text.size();) {
    auto code = static_cast<uint32_t>(next_code_point(text, at));
    out += code < 0x80      ? std::string(1, static_cast<char>(code))
           : code < 0x100   ? fmt::format("\\x{:02x}", code)
           : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                            : fmt::format("\\U{:08x}", code);
  }
  return out;
}

void check_sizes(Runtime& runtime, const Spec& spec) {
  runtime.charge_text(static_cast<size_t>(spec.width));
  if (spec.precision > kMaxPrecision) {
    fail(ErrorKind::resource, fmt::format("a precision of {}, at most {} are allowed", spec.precision, kMaxPrecision));
  }
}

// ---- %

class PercentFormatter {
 public:
  PercentFormatter(Interpreter& interpreter, const std::string& format, const Value& value)
      : interpreter_(interpreter), format_(format), value_(value) {
    // What Python can subscribe counts as a mapping, whose entries need not all be used.
    bool mapping = value.is(Kind::dict) || value.is(Kind::list) || value.is(Kind::range) || value.is(Kind::undefined);
    allows_leftover_ = mapping;
    if (value.is(Kind::tuple)) items_ = &value.as<List>().items;
  }

  std::string run() {
    std::string out;
    while (at_ < format_.size()) {
      if (format_[at_] != '%') {
        size_t next = std::min(format_.find('%', at_), format_.size());
        out.append(format_, at_, next - at_);
        at_ = next;
      } else {
        ++at_;
        out += conversion();
      }
      if (out.size() > interpreter_.runtime().limits().output_bytes) interpreter_.runtime().charge_text(out.size());
    }
    size_t available = items_ ? items_->size() : 1;
    if (used_ < available && !allows_leftover_) fail("not all arguments converted during string formatting");
    return out;
  }

 private:
  char peek() const {
    if (at_ >= format_.size()) fail("incomplete format");
    return format_[at_];
  }

  Value next_argument() {
    if (items_ ? used_ >= items_->size() : used_ >= 1) fail("not enough arguments for format string");
    return items_ ? (*items_)[used_++] : (++used_, value_);
  }

  int64_t number() {
    if (peek() == '*') {
      ++at_;
      return need_integer(next_argument());
    }
    int64_t out = 0;
    while (peek() >= '0' && peek() <= '9') {
      out = out * 10 + (format_[at_++] - '0');
      if (out > INT32_MAX) fail(ErrorKind::resource, "a width or precision in a format is too big");
    }
    return out;
  }

  Value keyed_argument() {
    int depth = 1;
    size_t start = ++at_;
    for (; depth > 0; ++at_) {
      if (peek() == '(') ++depth;
      if (peek() == ')') --depth;
    }
    if (!value_.is(Kind::dict)) fail("format requires a mapping");
    std::string key = format_.substr(start, at_ - start - 1);
    const Value* found = value_.as<Dict>().find(key);
    if (!found) fail(fmt::format("the format needs the key '{}'", key));
    used_ = 1;
    return *found;
  }

  std::string conversion() {
    std::optional<Value> keyed;
    if (peek() == '(') keyed = keyed_argument();
    Spec spec;
    bool zero = false;
    for (; std::string_view("-+ #0").find(peek()) != std::string_view::npos; ++at_) {
      if (peek() == '-') spec.align = '<';
      if (peek() == '0') zero = true;
      if (peek() == '#') spec.alternate = true;
      if (peek() == '+' || (peek() == ' ' && !spec.sign)) spec.sign = peek();
    }
    spec.width = number();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (peek() == '.') {
      ++at_;
      spec.precision = std::max<int64_t>(number(), 0);
    }
    if (peek() == 'h' || peek() == 'l' || peek() == 'L') ++at_;
    spec.type = peek();
    ++at_;
    if (spec.type == '%') return "%";
    check_sizes(interpreter_.runtime(), spec);
    return convert(keyed ? *keyed : next_argument(), spec, zero);
  }

  std::string convert(const Value& value, Spec spec, bool zero) {
    Runtime& runtime = interpreter_.runtime();
    if (spec.type == 's' || spec.type == 'r' || spec.type == 'a') {
      std::string text = convert_to_text(interpreter_, value, spec.type);
      return pad(runtime, cut(text, spec.precision), spec, 0, '>');
    }
    if (spec.type == 'c') return pad(runtime, character(value), spec, 0, '>');
    if (value.is(Kind::undefined)) fail(value.text());
    if (zero && spec.align != '<') {
      spec.align = '=';
      spec.fill.assign(1, '0');
    }
    if (std::string_view("diu").find(spec.type) != std::string_view::npos) {
      spec.type = 'd';
      if (value.is(Kind::real) && std::fabs(value.real()) < 0x1p63) {
        return format_integer(runtime, static_cast<int64_t>(value.real()), spec);
      }
      return format_integer(runtime, need_integer(value), spec);
    }
    if (std::string_view("xXo").find(spec.type) != std::string_view::npos) {
      return format_integer(runtime, need_integer(value), spec);
    }
    if (std::string_view("eEfFgG").find(spec.type) == std::string_view::npos) {
      fail(fmt::format("unsupported format character '{}'", spec.type));
    }
    if (!value.is_number()) fail(fmt::format("must be real number, not {}", type_name(value)));
    return format_real(runtime, value.real(), spec);
  }

  std::string character(const Value& value) {
    if (value.is(Kind::string) && code_point_count(value.text()) == 1) return value.text();
    int64_t code = need_integer(value);
    if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) fail("%c needs a character");
    std::string out;
    append_code_point(out, static_cast<char32_t>(code));
    return out;
  }

  Interpreter& interpreter_;
  const std::string& format_;
  const Value& value_;
  const std::vector<Value>* items_ = nullptr;
  bool allows_leftover_ = false;
  size_t at_ = 0, used_ = 0;
};

// ---- {}

Spec parse_spec(std::string_view text) {
  Spec spec;
  size_t at = 0;
  auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  size_t behind_first = 0;
  if (!text.empty()) next_code_point(text, behind_first);
  if (behind_first > 0 && behind_first < text.size() && is_align(text[behind_first])) {
    spec.fill = std::string(text.substr(0, behind_first));
    spec.align = text[behind_first];
    at = behind_first + 1;
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[at++];
  }
  auto take_any = [&](std::string_view set) {
    return at < text.size() && set.find(text[at]) != set.npos ? text[at++] : 0;
  };
  auto number = [&] {
    int64_t out = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      out = out * 10 + (text[at++] - '0');
      if (out > INT32_MAX) fail(ErrorKind::resource, "a width or precision in a format is too big");
    }
    return out;
  };
  char sign = static_cast<char>(take_any("+- "));
  spec.sign = sign == '-' ? 0 : sign;
  spec.alternate = take_any("#") != 0;
  if (take_any("0") && !spec.align) {
    spec.align = '=';
    spec.fill.assign(1, '0');
  }
  spec.width = number();
  spec.grouping = static_cast<char>(take_any(",_"));
  if (take_any(".")) {
    if (at >= text.size() || text[at] < '0' || text[at] > '9') fail("a format specifier misses its precision");
    spec.precision = number();
  }
  spec.type = static_cast<char>(take_any("bcdeEfFgGnosxX%"));
  if (at < text.size()) fail(fmt::format("invalid format specifier '{}'", text));
  return spec;
}

std::string format_value(Interpreter& interpreter, const Value& value, std::string_view spec_text) {
  if (spec_text.empty()) return interpreter.str(value);
  Spec spec = parse_spec(spec_text);
  Runtime& runtime = interpreter.runtime();
  check_sizes(runtime, spec);
  auto wrong_type = [&] {
    fail(fmt::format("format code '{}' does not suit a value of type '{}'", spec_text, type_name(value)));
  };
  if (value.is(Kind::string)) {
    bool zero_fill = spec.align == '=' && spec.fill == "0";
    if ((spec.type != 0 && spec.type != 's') || spec.sign || spec.grouping || (spec.align == '=' && !zero_fill)) {
      wrong_type();
    }
    if (zero_fill) spec.align = '<';
    return pad(runtime, cut(value.text(), spec.precision), spec, 0, '<');
  }
  if (!value.is_number() || spec.type == 's') wrong_type();
  bool real_type = spec.type != 0 && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  if (value.is(Kind::real) || real_type) {
    if (!real_type && spec.type != 0 && spec.type != 'n') wrong_type();
    return format_real(runtime, value.real(), spec);
  }
  if (spec.precision >= 0) fail("precision is not allowed for integers");
  if (spec.type == 'c') fail(ErrorKind::unsupported, "the format code 'c'");
  return format_integer(runtime, value.integer(), spec);
}

class BraceFormatter {
 public:
  BraceFormatter(Interpreter& interpreter, const CallArguments& arguments)
      : interpreter_(interpreter), arguments_(arguments) {}

  std::string run(std::string_view format, int depth) {
    if (depth > 2) fail("max string recursion exceeded");
    std::string out;
    for (size_t at = 0; at < format.size();) {
      char c = format[at++];
      if (c == '}') {
        if (at >= format.size() || format[at] != '}') fail("single '}' encountered in format string");
        ++at;
        out += '}';
      } else if (c != '{') {
        out += c;
      } else if (at < format.size() && format[at] == '{') {
        ++at;
        out += '{';
      } else {
        out += field(format, at, depth);
        interpreter_.runtime().charge_text(out.size() > interpreter_.runtime().limits().output_bytes ? out.size() : 0);
      }
    }
    return out;
  }

 private:
  std::string field(std::string_view format, size_t& at, int depth) {
    size_t start = at;
    int open = 1;
    bool in_index = false;
    for (; at < format.size() && open > 0; ++at) {
      if (format[at] == '[' && open == 1) in_index = true;
      if (format[at] == ']') in_index = false;
      if (in_index) continue;
      if (format[at] == '{') ++open;
      if (format[at] == '}') --open;
    }
    if (open > 0) fail("expected '}' before end of string");
    std::string_view text = format.substr(start, at - start - 1);
    size_t name_end = 0;
    for (bool inside = false; name_end < text.size(); ++name_end) {
      if (text[name_end] == '[') inside = true;
      if (text[name_end] == ']') inside = false;
      if (!inside && (text[name_end] == '!' || text[name_end] == ':')) break;
    }
    Value value = look_up(text.substr(0, name_end));
    std::string_view rest = text.substr(name_end);
    if (rest.size() >= 2 && rest[0] == '!') {
      if (rest[1] != 's' && rest[1] != 'r' && rest[1] != 'a') fail("unknown conversion in a format");
      value = Value::string(convert_to_text(interpreter_, value, rest[1]));
      rest.remove_prefix(2);
      if (!rest.empty() && rest[0] != ':') fail("expected ':' after conversion specifier");
    } else if (rest.size() == 1 && rest[0] == '!') {
      fail("end of string while looking for conversion specifier");
    }
    std::string spec = rest.empty() ? "" : run(rest.substr(1), depth + 1);
    return format_value(interpreter_, value, spec);
  }

  static bool is_number(std::string_view text) {
    return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string_view::npos;
  }

  // name.attribute[index]...
  Value look_up(std::string_view path) {
    size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = first(path.substr(0, end));
    for (path.remove_prefix(end); !path.empty();) {
      if (path[0] == '.') {
        end = std::min(path.find_first_of(".[", 1), path.size());
        if (end == 1) fail("empty attribute in format string");
        value = interpreter_.attribute(value, std::string(path.substr(1, end - 1)));
      } else if (path[0] == '[') {
        end = path.find(']');
        if (end == std::string_view::npos || end == 1) fail("a format string misses ']' or an index");
        std::string key(path.substr(1, end - 1));
        value = interpreter_.item(value, is_number(key) ? Value::integer(std::stoll(key)) : Value::string(key));
        ++end;
      } else {
        fail("only '.' or '[' may follow ']' in format field specifier");
      }
      path.remove_prefix(end);
    }
    return value;
  }

  Value first(std::string_view name) {
    if (name.empty() || is_number(name)) {
      bool automatic = name.empty();
      if (mode_ != 0 && mode_ != (automatic ? 'a' : 'm')) fail("automatic and manual field numbers in one format");
      mode_ = automatic ? 'a' : 'm';
      size_t index = automatic ? automatic_++ : static_cast<size_t>(std::stoll(std::string(name)));
      if (index >= arguments_.positional.size()) fail("a format refers to an argument that was not given");
      return arguments_.positional[index];
    }
    for (const auto& [known, value] : arguments_.keywords) {
      if (known == name) return value;
    }
    fail(fmt::format("a format refers to '{}', which was not given", name));
  }

  Interpreter& interpreter_;
  const CallArguments& arguments_;
  size_t automatic_ = 0;
  char mode_ = 0;
};

}  // namespace

std::string format_percent(Interpreter& interpreter, const std::string& format, const Value& value) {
  interpreter.runtime().charge_text(format.size());
  return PercentFormatter(interpreter, format, value).run();
}

std::string format_braces(Interpreter& interpreter, const std::string& format, const CallArguments& arguments) {
  interpreter.runtime().charge_text(format.size());
  return BraceFormatter(interpreter, arguments).run(format, 1);
}

std::string escape(Interpreter& interpreter, const Value& value) {
  std::string text = interpreter.str(value);
  if (value.is_markup()) return text;
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace nuri::jinja
