#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/codepoints.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"

// str(), repr() and json.dumps().
namespace nuri::jinja {

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  size_t mark = text.find('e');
  int exponent = 0;
  size_t exponent_at = mark + (text[mark + 1] == '+' ? 2 : 1);
  std::from_chars(text.data() + exponent_at, text.data() + text.size(), exponent);
  std::string digits(text.substr(0, mark));
  std::string sign(digits[0] == '-' ? 1 : 0, '-');
  digits.erase(0, sign.size());
  std::erase(digits, '.');
  int point = exponent + 1;  // the decimal point stands behind this many digits
  int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    std::string mantissa = digits;
    if (count > 1) mantissa.insert(1, 1, '.');
    return fmt::format("{}{}e{}{:02d}", sign, mantissa, exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (point <= 0) return sign + "0." + std::string(static_cast<size_t>(-point), '0') + digits;
  if (point >= count) return sign + digits + std::string(static_cast<size_t>(point - count), '0') + ".0";
  return sign + digits.substr(0, static_cast<size_t>(point)) + "." + digits.substr(static_cast<size_t>(point));
}

std::string text_repr(std::string_view text) {
  char quote = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    char32_t c = next_code_point(text, at);
    auto code = static_cast<uint32_t>(c);
    if (c == static_cast<unsigned char>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (is_printable(c)) {
      append_code_point(out, c);
    } else if (code < 0x100) {
      out += fmt::format("\\x{:02x}", code);
    } else {
      out += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
    }
  }
  return out + quote;
}

std::string Interpreter::str(const Value& value) {
  if (value.is(Kind::undefined)) return {};
  return value.is(Kind::string) ? value.text() : repr(value);
}

namespace {

// Builds the repr of nested values in one string, so that its size is bounded as it grows.
class ReprWriter {
 public:
  explicit ReprWriter(Interpreter& interpreter) : interpreter_(interpreter), runtime_(interpreter.runtime()) {}

  void write(const Value& value) {
    Runtime::Level level(runtime_);
    runtime_.charge(1);
    switch (value.kind()) {
      case Kind::missing:
      case Kind::undefined:
        return add("Undefined");
      case Kind::none:
        return add("None");
      case Kind::boolean:
        return add(value.integer() ? "True" : "False");
      case Kind::integer:
        return add(std::to_string(value.integer()));
      case Kind::real:
        return add(float_repr(value.real()));
      case Kind::string:
        return add(value.is_markup() ? "Markup(" + text_repr(value.text()) + ")" : text_repr(value.text()));
      case Kind::list:
        return sequence("[", value.as<List>().items, "]");
      case Kind::tuple:
        return sequence("(", value.as<List>().items, value.as<List>().items.size() == 1 ? ",)" : ")");
      case Kind::dict:
        return dict(value.as<Dict>());
      case Kind::name_space:
        add("<Namespace ");
        dict(value.as<Namespace>().attributes);
        return add(">");
      case Kind::range:
        return range(value.as<RangeObject>());
      case Kind::view:
        return view(value);
      case Kind::callable:
        return add(value.as<Callable>().repr());
      case Kind::iterator:
        return add("<generator object>");
      case Kind::cycler:
        return add("<Cycler object>");
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void add(std::string_view text) {
    runtime_.charge_text(text.size() + (out_.size() > runtime_.limits().output_bytes ? out_.size() : 0));
    out_ += text;
  }

  void sequence(std::string_view open, const std::vector<Value>& items, std::string_view close) {
    add(open);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) add(", ");
      write(items[i]);
    }
    add(close);
  }

  void dict(const Dict& dict) {
    add("{");
    for (size_t i = 0; i < dict.size(); ++i) {
      if (i > 0) add(", ");
      write(dict.entries()[i].first);
      add(": ");
      write(dict.entries()[i].second);
    }
    add("}");
  }

  void range(const RangeObject& range) {
    add(range.step == 1 ? fmt::format("range({}, {})", range.start, range.stop)
                        : fmt::format("range({}, {}, {})", range.start, range.stop, range.step));
  }

  void view(const Value& value) {
    const DictView& view = value.as<DictView>();
    add(type_name(value));
    add("([");
    bool first = true;
    for (const auto& [key, item] : view.dict->entries()) {
      if (!std::exchange(first, false)) add(", ");
      if (view.part == DictView::items) add("(");
      if (view.part != DictView::values) write(key);
      if (view.part == DictView::items) add(", ");
      if (view.part != DictView::keys) write(item);
      if (view.part == DictView::items) add(")");
    }
    add("])");
  }

  Interpreter& interpreter_;
  Runtime& runtime_;
  std::string out_;
};

class JsonWriter {
 public:
  JsonWriter(Interpreter& interpreter, const JsonStyle& style)
      : interpreter_(interpreter), runtime_(interpreter.runtime()), style_(style) {}

  void write(const Value& value) {
    Runtime::Level level(runtime_);
    runtime_.charge(1);
    switch (value.kind()) {
      case Kind::string:
        return text(value.text());
      case Kind::list:
      case Kind::tuple:
        return sequence(value.as<List>().items);
      case Kind::dict:
        return dict(value.as<Dict>());
      case Kind::none:
      case Kind::boolean:
      case Kind::integer:
      case Kind::real:
        return add(scalar(value));
      default:
        fail(fmt::format("object of type {} cannot be written as JSON", type_name(value)));
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void add(std::string_view text) {
    runtime_.charge_text(text.size() + (out_.size() > runtime_.limits().output_bytes ? out_.size() : 0));
    out_ += text;
  }

  static std::string scalar(const Value& value) {
    if (value.is(Kind::none)) return "null";
    if (value.is(Kind::boolean)) return value.integer() ? "true" : "false";
    if (value.is(Kind::integer)) return std::to_string(value.integer());
    double number = value.real();
    return std::isnan(number) ? "NaN" : std::isinf(number) ? number > 0 ? "Infinity" : "-Infinity" : float_repr(number);
  }

  void text(std::string_view text) {
    std::string out = "\"";
    for (size_t at = 0; at < text.size();) {
      size_t start = at;
      char32_t c = next_code_point(text, at);
      constexpr std::string_view kPlain = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf";
      if (size_t known = c < 0x80 ? kPlain.find(static_cast<char>(c)) : std::string_view::npos;
          known != std::string_view::npos) {
        out += '\\';
        out += kLetters[known];
      } else if (c < 0x20) {
        out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
      } else if (!style_.ensure_ascii || c < 0x7F) {
        out += text.substr(start, at - start);
      } else if (c < 0x10000) {
        out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
      } else {
        auto rest = static_cast<uint32_t>(c) - 0x10000;
        out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
      }
    }
    add(out += '"');
  }

  void new_line() {
    if (!style_.indented) return;
    add("\n");
    for (int i = 0; i < depth_; ++i) add(style_.indent);
  }

  template <class Each>
  void container(char open, char close, size_t size, Each each) {
    add(std::string_view(&open, 1));
    if (size > 0) {
      ++depth_;
      for (size_t i = 0; i < size; ++i) {
        if (i > 0) add(style_.item_separator);
        new_line();
        each(i);
      }
      --depth_;
      new_line();
    }
    add(std::string_view(&close, 1));
  }

  void sequence(const std::vector<Value>& items) {
    container('[', ']', items.size(), [&](size_t i) { write(items[i]); });
  }

  void dict(const Dict& dict) {
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const Dict::Entry* a, const Dict::Entry* b) { return less(runtime_, a->first, b->first); });
    }
    container('{', '}', entries.size(), [&](size_t i) {
      const Value& key = entries[i]->first;
      if (key.is(Kind::string)) {
        text(key.text());
      } else if (key.is(Kind::none) || key.is_number()) {
        add('"' + scalar(key) + '"');
      } else {
        fail(fmt::format("keys of JSON must be str, int, float, bool or None, not {}", type_name(key)));
      }
      add(style_.key_separator);
      write(entries[i]->second);
    });
  }

  Interpreter& interpreter_;
  Runtime& runtime_;
  const JsonStyle& style_;
  std::string out_;
  int depth_ = 0;
};

}  // namespace

std::string Interpreter::repr(const Value& value) {
  ReprWriter writer(*this);
  writer.write(value);
  return writer.take();
}

std::string to_json(Interpreter& interpreter, const Value& value, const JsonStyle& style) {
  JsonWriter writer(interpreter, style);
  writer.write(value);
  return writer.take();
}

}  // namespace nuri::jinja
