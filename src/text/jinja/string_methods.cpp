#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "text/jinja/arguments.h"
#include "text/jinja/codepoints.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/operators.h"

// The methods of str.
namespace nuri::jinja {
namespace {

Value text_result(Interpreter& interpreter, const Value& self, std::string text) {
  return make_string(interpreter.runtime(), std::move(text), self.is_markup());
}

void no_arguments(std::string_view name, const CallArguments& arguments) { Bound(name, arguments, {}); }

template <std::string (*Change)(std::string_view)>
Value changed(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  no_arguments("str method", arguments);
  interpreter.runtime().charge_text(self.text().size());
  return text_result(interpreter, self, Change(self.text()));
}

template <bool Left, bool Right>
Value stripped(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("strip", arguments, {"/chars"});
  interpreter.runtime().charge_text(self.text().size());
  bool spaces = !bound.has(0) || bound[0].is(Kind::none);
  std::string_view text =
      spaces ? strip(self.text(), Left, Right) : strip(self.text(), need_text(bound[0]), Left, Right);
  return text_result(interpreter, self, std::string(text));
}

// ---- split and join

void split_on_spaces(std::string_view text, int64_t limit, bool from_right, std::vector<std::string_view>& out) {
  text = strip(text, !from_right, from_right);
  while (!text.empty()) {
    if (limit == 0) {
      out.push_back(strip(text, !from_right, from_right));
      break;
    }
    --limit;
    size_t cut = from_right ? text.size() : 0;
    if (from_right) {
      while (cut > 0) {
        size_t last = cut - 1;
        while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
        size_t at = last;
        if (is_space(next_code_point(text, at))) break;
        cut = last;
      }
      out.push_back(text.substr(cut));
      text = strip(text.substr(0, cut), false, true);
    } else {
      while (cut < text.size()) {
        size_t at = cut;
        if (is_space(next_code_point(text, at))) break;
        cut = at;
      }
      out.push_back(text.substr(0, cut));
      text = strip(text.substr(cut), true, false);
    }
  }
}

void split_on(std::string_view text, std::string_view separator, int64_t limit, bool from_right,
              std::vector<std::string_view>& out) {
  for (; limit != 0; --limit) {
    size_t found = from_right ? text.rfind(separator) : text.find(separator);
    if (found == std::string_view::npos) break;
    out.push_back(from_right ? text.substr(found + separator.size()) : text.substr(0, found));
    text = from_right ? text.substr(0, found) : text.substr(found + separator.size());
  }
  out.push_back(text);
}

template <bool FromRight>
Value split(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("split", arguments, {"sep", "maxsplit"});
  interpreter.runtime().charge_text(self.text().size());
  std::vector<std::string_view> parts;
  int64_t limit = bound.integer(1, -1);
  if (!bound.has(0) || bound[0].is(Kind::none)) {
    split_on_spaces(self.text(), limit, FromRight, parts);
  } else {
    if (need_text(bound[0]).empty()) fail("empty separator");
    split_on(self.text(), bound[0].text(), limit, FromRight, parts);
  }
  if (FromRight) std::reverse(parts.begin(), parts.end());
  std::vector<Value> items;
  for (std::string_view part : parts) items.push_back(Value::string(std::string(part), self.is_markup()));
  return make_list(interpreter.runtime(), std::move(items));
}

Value split_into_lines(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("splitlines", arguments, {"keepends"});
  interpreter.runtime().charge_text(self.text().size());
  std::vector<Value> items;
  for (std::string_view line : split_lines(self.text(), bound.integer(0, 0) != 0)) {
    items.push_back(Value::string(std::string(line), self.is_markup()));
  }
  return make_list(interpreter.runtime(), std::move(items));
}

template <bool FromRight>
Value partition(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("partition", arguments, {"/sep"}, 1);
  const std::string &text = self.text(), &separator = need_text(bound[0]);
  if (separator.empty()) fail("empty separator");
  interpreter.runtime().charge_text(text.size());
  size_t found = FromRight ? text.rfind(separator) : text.find(separator);
  std::string parts[3];
  if (found == std::string::npos) {
    parts[FromRight ? 2 : 0] = text;
  } else {
    parts[0] = text.substr(0, found);
    parts[1] = separator;
    parts[2] = text.substr(found + separator.size());
  }
  std::vector<Value> items;
  for (std::string& part : parts) items.push_back(Value::string(std::move(part), self.is_markup()));
  return make_tuple(interpreter.runtime(), std::move(items));
}

Value join(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("join", arguments, {"/iterable"}, 1);
  std::string out;
  bool first = true;
  for (const Value& item : interpreter.collect(bound[0])) {
    if (!self.is_markup() && !item.is(Kind::string)) {
      fail(fmt::format("str.join() needs strings, found '{}'", type_name(item)));
    }
    std::string part = self.is_markup() ? escape(interpreter, item) : item.text();
    if (!first) part.insert(0, self.text());
    first = false;
    interpreter.runtime().charge_text(out.size() + part.size() > interpreter.runtime().limits().output_bytes
                                          ? out.size() + part.size()
                                          : part.size());
    out += part;
  }
  return Value::string(std::move(out), self.is_markup());
}

// ---- searching

// A search in self[start:end]: the window in bytes, or none when start is behind the end.
struct Window {
  std::string_view text;
  int64_t offset = 0;  // of its first code point
  bool valid = true;
};

Window window(Interpreter& interpreter, const Value& self, const Bound& bound, size_t start_at) {
  interpreter.runtime().charge_text(self.text().size());
  Window out{self.text(), 0, true};
  auto given = [&](size_t i) { return bound.has(i) && !bound[i].is(Kind::none); };
  if (!given(start_at) && !given(start_at + 1)) return out;
  int64_t size = interpreter.length(self);
  auto position = [&](size_t i, int64_t fallback) {
    if (!given(i)) return fallback;
    int64_t index = need_integer(bound[i]);
    return index < 0 ? std::max<int64_t>(index < -size ? 0 : index + size, 0) : index;
  };
  int64_t start = position(start_at, 0), end = std::min(position(start_at + 1, size), size);
  if (start > end) return {{}, 0, false};
  size_t first = byte_offset(self.text(), static_cast<size_t>(start));
  size_t last = byte_offset(self.text(), static_cast<size_t>(end));
  return {std::string_view(self.text()).substr(first, last - first), start, true};
}

template <bool FromRight>
int64_t find_position(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("find", arguments, {"/sub", "/start", "/end"}, 1);
  Window where = window(interpreter, self, bound, 1);
  const std::string& wanted = need_text(bound[0]);
  size_t found = FromRight ? where.text.rfind(wanted) : where.text.find(wanted);
  if (!where.valid || found == std::string_view::npos) return -1;
  return where.offset + static_cast<int64_t>(code_point_count(where.text.substr(0, found)));
}

template <bool FromRight>
Value find(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  return Value::integer(find_position<FromRight>(interpreter, self, arguments));
}

template <bool FromRight>
Value index(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  int64_t position = find_position<FromRight>(interpreter, self, arguments);
  if (position < 0) fail("substring not found");
  return Value::integer(position);
}

Value count(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("count", arguments, {"/sub", "/start", "/end"}, 1);
  Window where = window(interpreter, self, bound, 1);
  const std::string& wanted = need_text(bound[0]);
  if (!where.valid) return Value::integer(0);
  if (wanted.empty()) return Value::integer(static_cast<int64_t>(code_point_count(where.text)) + 1);
  int64_t found = 0;
  for (size_t at = where.text.find(wanted); at != std::string_view::npos;
       at = where.text.find(wanted, at + wanted.size())) {
    ++found;
  }
  return Value::integer(found);
}

template <bool AtEnd>
Value starts_or_ends(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound(AtEnd ? "endswith" : "startswith", arguments, {"/prefix", "/start", "/end"}, 1);
  Window where = window(interpreter, self, bound, 1);
  auto matches = [&](const Value& affix) {
    const std::string& text = need_text(affix);
    return where.valid && (AtEnd ? where.text.ends_with(text) : where.text.starts_with(text));
  };
  if (!bound[0].is(Kind::tuple)) return Value::boolean(matches(bound[0]));
  const std::vector<Value>& choices = bound[0].as<List>().items;
  return Value::boolean(std::any_of(choices.begin(), choices.end(), matches));
}

// ---- replacing

Value replace(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("replace", arguments, {"/old", "/new", "/count"}, 2);
  return make_string(
      interpreter.runtime(),
      replace_text(interpreter.runtime(), self.text(), need_text(bound[0]), need_text(bound[1]), bound.integer(2, -1)),
      self.is_markup());
}

template <bool Suffix>
Value remove_affix(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound(Suffix ? "removesuffix" : "removeprefix", arguments, {"/affix"}, 1);
  std::string_view text = self.text(), affix = need_text(bound[0]);
  if (Suffix && !affix.empty() && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!Suffix && text.starts_with(affix)) text.remove_prefix(affix.size());
  return text_result(interpreter, self, std::string(text));
}

template <char Align>
Value justify(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("str justification", arguments, {"/width", "/fillchar"}, 1);
  std::string fill = bound.text(1, " ");
  if (code_point_count(fill) != 1) fail("the fill character must be exactly one character long");
  return make_string(interpreter.runtime(),
                     justify_text(interpreter.runtime(), self.text(), need_integer(bound[0]), fill, Align),
                     self.is_markup());
}

Value zero_fill(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("zfill", arguments, {"/width"}, 1);
  std::string_view text = self.text();
  std::string sign;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    sign.assign(1, text[0]);
    text.remove_prefix(1);
  }
  int64_t width = need_integer(bound[0]) - static_cast<int64_t>(sign.size());
  return text_result(interpreter, self, sign + justify_text(interpreter.runtime(), std::string(text), width, "0", '>'));
}

Value expand_tabs(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("expandtabs", arguments, {"tabsize"});
  int64_t size = bound.integer(0, 8), column = 0;
  std::string out;
  for (size_t at = 0; at < self.text().size();) {
    char32_t c = next_code_point(self.text(), at);
    if (c == '\t') {
      int64_t spaces = size > 0 ? size - column % size : 0;
      interpreter.runtime().charge_text(out.size() + static_cast<size_t>(spaces));
      out.append(static_cast<size_t>(spaces), ' ');
      column += spaces;
    } else {
      append_code_point(out, c);
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
  }
  return text_result(interpreter, self, std::move(out));
}

// ---- questions

template <bool (*Holds)(char32_t)>
Value all_are(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  no_arguments("str method", arguments);
  interpreter.runtime().charge_text(self.text().size());
  std::u32string points = decode(self.text());
  return Value::boolean(!points.empty() && std::all_of(points.begin(), points.end(), Holds));
}

template <bool Upper>
Value is_cased_as(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  no_arguments("str method", arguments);
  interpreter.runtime().charge_text(self.text().size());
  return Value::boolean(has_case(self.text(), Upper));
}

Value is_title_text(Interpreter&, const Value& self, const CallArguments& arguments) {
  no_arguments("istitle", arguments);
  bool previous_cased = false, found = false;
  for (char32_t c : decode(self.text())) {
    bool big = is_upper(c) || is_title(c);
    if ((big && previous_cased) || (is_lower(c) && !previous_cased)) return Value::boolean(false);
    previous_cased = big || is_lower(c);
    found = found || previous_cased;
  }
  return Value::boolean(found);
}

Value is_ascii(Interpreter&, const Value& self, const CallArguments& arguments) {
  no_arguments("isascii", arguments);
  return Value::boolean(std::all_of(self.text().begin(), self.text().end(), [](char c) { return c >= 0; }));
}

Value is_printable_text(Interpreter&, const Value& self, const CallArguments& arguments) {
  no_arguments("isprintable", arguments);
  std::u32string points = decode(self.text());
  return Value::boolean(std::all_of(points.begin(), points.end(), is_printable));
}

Value is_identifier(Interpreter&, const Value& self, const CallArguments& arguments) {
  no_arguments("isidentifier", arguments);
  std::u32string points = decode(self.text());
  return Value::boolean(!points.empty() && !is_numeric(points[0]) &&
                        std::all_of(points.begin(), points.end(), is_word));
}

// ---- formatting

Value format(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  return text_result(interpreter, self, format_braces(interpreter, self.text(), arguments));
}

Value format_map(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("format_map", arguments, {"/mapping"}, 1);
  if (!bound[0].is(Kind::dict)) fail("format_map() needs a mapping");
  CallArguments named;
  for (const auto& [key, value] : bound[0].as<Dict>().entries()) {
    if (key.is(Kind::string)) named.keywords.emplace_back(key.text(), value);
  }
  return text_result(interpreter, self, format_braces(interpreter, self.text(), named));
}

Value unsupported(Interpreter&, const Value&, const CallArguments&) {
  fail(ErrorKind::unsupported, "the methods encode, translate and maketrans of strings");
}

struct Entry {
  std::string_view name;
  Method method;
};

constexpr Entry kMethods[] = {
    {"capitalize", changed<capitalize>},
    {"casefold", changed<case_fold>},
    {"center", justify<'^'>},
    {"count", count},
    {"encode", unsupported},
    {"endswith", starts_or_ends<true>},
    {"expandtabs", expand_tabs},
    {"find", find<false>},
    {"format", format},
    {"format_map", format_map},
    {"index", index<false>},
    {"isalnum", all_are<is_alnum>},
    {"isalpha", all_are<is_alpha>},
    {"isascii", is_ascii},
    {"isdecimal", all_are<is_decimal>},
    {"isdigit", all_are<is_digit>},
    {"isidentifier", is_identifier},
    {"islower", is_cased_as<false>},
    {"isnumeric", all_are<is_numeric>},
    {"isprintable", is_printable_text},
    {"isspace", all_are<is_space>},
    {"istitle", is_title_text},
    {"isupper", is_cased_as<true>},
    {"join", join},
    {"ljust", justify<'<'>},
    {"lower", changed<lower>},
    {"lstrip", stripped<true, false>},
    {"maketrans", unsupported},
    {"partition", partition<false>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"replace", replace},
    {"rfind", find<true>},
    {"rindex", index<true>},
    {"rjust", justify<'>'>},
    {"rpartition", partition<true>},
    {"rsplit", split<true>},
    {"rstrip", stripped<false, true>},
    {"split", split<false>},
    {"splitlines", split_into_lines},
    {"startswith", starts_or_ends<false>},
    {"strip", stripped<true, true>},
    {"swapcase", changed<swap_case>},
    {"title", changed<title>},
    {"translate", unsupported},
    {"upper", changed<upper>},
    {"zfill", zero_fill},
};

}  // namespace

bool has_case(std::string_view text, bool want_upper) {
  bool found = false;
  for (char32_t c : decode(text)) {
    if (is_title(c) || (want_upper ? is_lower(c) : is_upper(c))) return false;
    found = found || (want_upper ? is_upper(c) : is_lower(c));
  }
  return found;
}

std::string replace_text(Runtime& runtime, const std::string& text, const std::string& from, const std::string& to,
                         int64_t limit) {
  runtime.charge_text(text.size());
  std::string out;
  size_t at = 0;
  auto add = [&](std::string_view part) {
    runtime.charge_text(out.size() + part.size() > runtime.limits().output_bytes ? out.size() + part.size()
                                                                                 : part.size());
    out += part;
  };
  while (limit != 0 && at <= text.size()) {
    size_t found = from.empty() ? at : text.find(from, at);
    if (found == std::string::npos) break;
    --limit;
    add(std::string_view(text).substr(at, found - at));
    add(to);
    at = found + from.size();
    if (!from.empty()) continue;
    // An empty pattern matches before each character and at the end.
    if (at == text.size()) return out;
    size_t behind = at;
    next_code_point(text, behind);
    add(std::string_view(text).substr(at, behind - at));
    at = behind;
  }
  add(std::string_view(text).substr(std::min(at, text.size())));
  return out;
}

std::string justify_text(Runtime& runtime, const std::string& text, int64_t width, const std::string& fill,
                         char align) {
  auto length = static_cast<int64_t>(code_point_count(text));
  if (width <= length) return text;
  int64_t missing = width - length;
  runtime.charge_text(static_cast<size_t>(missing) > runtime.limits().output_bytes
                          ? static_cast<size_t>(missing)
                          : static_cast<size_t>(missing) * fill.size());
  // str.center puts the odd one to the left when both the padding and the width are odd.
  int64_t left = align == '<' ? 0 : align == '>' ? missing : missing / 2 + (missing & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (int64_t i = left; i < missing; ++i) out += fill;
  return out;
}

Method find_string_method(std::string_view name) {
  const Entry* found = std::lower_bound(std::begin(kMethods), std::end(kMethods), name,
                                        [](const Entry& e, std::string_view n) { return e.name < n; });
  return found != std::end(kMethods) && found->name == name ? found->method : nullptr;
}

}  // namespace nuri::jinja
