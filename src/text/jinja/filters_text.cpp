#include <fmt/format.h>

#include "text/jinja/arguments.h"
#include "text/jinja/codepoints.h"
#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/operators.h"

// Filters that make text.
namespace nuri::jinja {
namespace {

// What markupsafe.soft_str makes of the input: its str(), still marked when it was.
Value soft_text(Interpreter& interpreter, const Value& value) {
  return value.is(Kind::string) ? value : make_string(interpreter.runtime(), interpreter.str(value));
}

// The filter of that name as the method of str that it is.
Value by_method(Interpreter& interpreter, const Value& input, const CallArguments& arguments, std::string_view method) {
  return find_string_method(method)(interpreter, soft_text(interpreter, input), arguments);
}

Value upper_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  return by_method(interpreter, input, arguments, "upper");
}
Value lower_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  return by_method(interpreter, input, arguments, "lower");
}
Value capitalize_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  return by_method(interpreter, input, arguments, "capitalize");
}

Value trim(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("trim", arguments, {"chars"});
  return by_method(interpreter, input, {{bound.or_none(0)}, {}}, "strip");
}

Value center(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("center", arguments, {"width"});
  return by_method(interpreter, input, {{Value::integer(bound.integer(0, 80))}, {}}, "center");
}

// Words begin behind - white space ( { [ and <.
Value title_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("title", arguments, {});
  Value text = soft_text(interpreter, input);
  interpreter.runtime().charge_text(text.text().size());
  std::string out, word;
  auto flush = [&] {
    if (word.empty()) return;
    size_t head = 0;
    next_code_point(word, head);
    out += upper(word.substr(0, head)) + lower(word.substr(head));
    word.clear();
  };
  for (size_t at = 0; at < text.text().size();) {
    char32_t c = next_code_point(text.text(), at);
    bool separates = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    if (separates) flush();
    append_code_point(separates ? out : word, c);
  }
  flush();
  return make_string(interpreter.runtime(), std::move(out), text.is_markup());
}

Value replace_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("replace", arguments, {"old", "new", "count"}, 2);
  int64_t limit = bound.or_none(2).is(Kind::none) ? -1 : bound.integer(2, -1);
  return make_string(interpreter.runtime(), replace_text(interpreter.runtime(), interpreter.str(input),
                                                         interpreter.str(bound[0]), interpreter.str(bound[1]), limit));
}

Value format_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  if (!arguments.positional.empty() && !arguments.keywords.empty()) {
    fail("format takes positional or keyword arguments, not both");
  }
  Value values;
  if (arguments.keywords.empty()) {
    values = make_tuple(interpreter.runtime(), arguments.positional);
  } else {
    Dict& dict = make_dict(interpreter.runtime(), values);
    for (const auto& [name, value] : arguments.keywords) {
      dict.set(interpreter.runtime(), Value::string(name), value);
    }
  }
  return binary(interpreter, "%", soft_text(interpreter, input), values);
}

Value indent(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("indent", arguments, {"width", "first", "blank"});
  Runtime& runtime = interpreter.runtime();
  std::string indention;
  if (bound.has(0) && bound[0].is(Kind::string)) {
    indention = bound[0].text();
  } else {
    indention = justify_text(runtime, "", bound.integer(0, 4), " ", '<');
  }
  bool first = bound.has(1) && truthy(interpreter, bound[1]), blank = bound.has(2) && truthy(interpreter, bound[2]);
  std::string text = need_text(input) + "\n";
  std::vector<std::string_view> lines = split_lines(text, false);
  std::string out = first ? indention : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string_view margin = i > 0 && (blank || !lines[i].empty()) ? std::string_view(indention) : "";
    size_t added = margin.size() + lines[i].size() + 1;
    runtime.charge_text(out.size() + added > runtime.limits().output_bytes ? out.size() + added : added);
    if (i > 0) out += '\n';
    out += margin;
    out += lines[i];
  }
  return Value::string(std::move(out), input.is_markup());
}

// Whatever has a length and is short enough stays as it is, text or not.
Value truncate(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("truncate", arguments, {"length", "killwords", "end", "leeway"});
  std::string end = bound.text(2, "...");
  int64_t length = bound.integer(0, 255), leeway = bound.or_none(3).is(Kind::none) ? 5 : bound.integer(3, 5);
  auto end_length = static_cast<int64_t>(code_point_count(end));
  if (length < end_length) fail(fmt::format("expected length >= {}, got {}", end_length, length));
  if (leeway < 0) fail(fmt::format("expected leeway >= 0, got {}", leeway));
  int64_t size = interpreter.length(input);
  if (size >= 0 && size <= length + leeway) return input;
  const std::string& text = need_text(input);
  std::string kept = text.substr(0, byte_offset(text, static_cast<size_t>(length - end_length)));
  bool kill_words = bound.has(1) && truthy(interpreter, bound[1]);
  if (!kill_words) kept = kept.substr(0, std::min(kept.rfind(' '), kept.size()));
  return make_string(interpreter.runtime(), kept + end, input.is_markup());
}

Value word_count(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("wordcount", arguments, {});
  Value text = soft_text(interpreter, input);
  int64_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < text.text().size();) {
    bool word = is_word(next_code_point(text.text(), at));
    words += word && !inside ? 1 : 0;
    inside = word;
  }
  return Value::integer(words);
}

Value string_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("string", arguments, {});
  return soft_text(interpreter, input);
}

Value safe(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("safe", arguments, {});
  return make_string(interpreter.runtime(), interpreter.str(input), true);
}

Value escape_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("escape", arguments, {});
  return make_string(interpreter.runtime(), escape(interpreter, input), true);
}

Value force_escape(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("forceescape", arguments, {});
  return make_string(interpreter.runtime(), escape(interpreter, Value::string(interpreter.str(input))), true);
}

std::string url_quote(const std::string& text, bool for_query) {
  std::string out;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::string_view("_.-~").find(c) != std::string_view::npos || (c == '/' && !for_query);
    if (plain) {
      out += c;
    } else if (c == ' ' && for_query) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Value url_encode(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("urlencode", arguments, {});
  if (input.is(Kind::string) || !interpreter.iterable(input)) {
    return make_string(interpreter.runtime(), url_quote(interpreter.str(input), false));
  }
  std::string out;
  auto add = [&](const Value& key, const Value& value) {
    if (!out.empty()) out += '&';
    out += url_quote(interpreter.str(key), true) + "=" + url_quote(interpreter.str(value), true);
  };
  if (input.is(Kind::dict)) {
    for (const auto& [key, value] : input.as<Dict>().entries()) add(key, value);
  } else {
    for (const Value& pair : interpreter.collect(input)) {
      std::vector<Value> items = interpreter.collect(pair);
      if (items.size() != 2) fail("urlencode needs pairs");
      add(items[0], items[1]);
    }
  }
  return make_string(interpreter.runtime(), std::move(out));
}

JsonStyle json_style(Interpreter& interpreter, const Bound& bound) {
  JsonStyle style;
  style.ensure_ascii = bound.has(0) && truthy(interpreter, bound[0]);
  style.sort_keys = bound.has(3) && truthy(interpreter, bound[3]);
  if (bound.has(1) && !bound[1].is(Kind::none)) {
    style.indented = true;
    style.item_separator.assign(1, ',');
    style.indent = bound[1].is(Kind::string)
                       ? bound[1].text()
                       : justify_text(interpreter.runtime(), "", need_integer(bound[1]), " ", '<');
  }
  if (bound.has(2) && !bound[2].is(Kind::none)) {
    std::vector<Value> separators = interpreter.collect(bound[2]);
    if (separators.size() != 2) fail("tojson needs two separators");
    style.item_separator = need_text(separators[0]);
    style.key_separator = need_text(separators[1]);
  }
  return style;
}

// As transformers redefines it: no HTML escapes, characters as they are.
Value json_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  return make_string(interpreter.runtime(), to_json(interpreter, input, json_style(interpreter, bound)));
}

constexpr FilterEntry kTextFilters[] = {
    {"upper", upper_filter},
    {"lower", lower_filter},
    {"capitalize", capitalize_filter},
    {"title", title_filter},
    {"trim", trim},
    {"center", center},
    {"replace", replace_filter},
    {"format", format_filter},
    {"indent", indent},
    {"truncate", truncate},
    {"wordcount", word_count},
    {"string", string_filter},
    {"safe", safe},
    {"escape", escape_filter},
    {"e", escape_filter},
    {"forceescape", force_escape},
    {"urlencode", url_encode},
    {"tojson", json_filter},
};

}  // namespace

FilterTable text_filters() { return {kTextFilters, std::size(kTextFilters)}; }

}  // namespace nuri::jinja
