#pragma once

#include <string_view>

#include "text/jinja/value.h"

namespace nuri::jinja {

// Python's binary operators + - * / // % **.
Value binary(Interpreter& interpreter, std::string_view sign, const Value& a, const Value& b);
Value negate(const Value& a);
Value plus(const Value& a);
// == != < <= > >= in, and not in.
bool compare(Interpreter& interpreter, std::string_view sign, const Value& a, const Value& b);

// printf-style `format % value` and format.format(...), without access to private attributes.
std::string format_percent(Interpreter& interpreter, const std::string& format, const Value& value);
std::string format_braces(Interpreter& interpreter, const std::string& format, const CallArguments& arguments);

// Markup's escape of & < > ' "; text that is markup already stays.
std::string escape(Interpreter& interpreter, const Value& value);

}  // namespace nuri::jinja
