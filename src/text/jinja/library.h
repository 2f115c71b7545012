#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace nuri::jinja {

using Method = Value (*)(Interpreter& interpreter, const Value& self, const CallArguments& arguments);

// The methods of str, list, tuple, dict, int and float; nullptr when there is none of that name.
Method find_method(const Value& self, std::string_view name);
Method find_string_method(std::string_view name);
// True for methods that would change `self`, which the sandbox hides.
bool changes_its_object(const Value& self, std::string_view name);

// range, dict, namespace, cycler, joiner, raise_exception, strftime_now. Missing when there is none.
Value find_global(Runtime& runtime, std::string_view name);

// A function or bound method as a value.
Value make_function(Runtime& runtime, std::string name, Method function, Value self = Value::none());

// A dictionary of the pairs or mapping in `arguments`, as dict(...) makes it.
void fill_dict(Interpreter& interpreter, Dict& dict, const CallArguments& arguments, std::string_view callee);

// JSON as Python's json.dumps writes it with these arguments.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool indented = false;
  std::string indent;
  std::string item_separator = ", ", key_separator = ": ";
};
std::string to_json(Interpreter& interpreter, const Value& value, const JsonStyle& style);

// For the methods and the filters of the same names.
std::string replace_text(Runtime& runtime, const std::string& text, const std::string& from, const std::string& to,
                         int64_t limit);
// `align`: < > ^; `fill`: one character.
std::string justify_text(Runtime& runtime, const std::string& text, int64_t width, const std::string& fill, char align);
// str.isupper() or str.islower().
bool has_case(std::string_view text, bool want_upper);

// repr() of a float and of a text.
std::string float_repr(double value);
std::string text_repr(std::string_view text);

}  // namespace nuri::jinja
