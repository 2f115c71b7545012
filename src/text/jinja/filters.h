#pragma once

#include <string_view>
#include <utility>

#include "text/jinja/value.h"

namespace nuri::jinja {

struct FilterEntry {
  std::string_view name;
  Value (*apply)(Interpreter& interpreter, const Value& input, const CallArguments& arguments);
};

struct TestEntry {
  std::string_view name;
  bool (*holds)(Interpreter& interpreter, const Value& input, const CallArguments& arguments);
};

// nullptr when there is none of that name.
const FilterEntry* find_filter(std::string_view name);
const TestEntry* find_test(std::string_view name);

// The filters come in three files.
using FilterTable = std::pair<const FilterEntry*, size_t>;
FilterTable text_filters();
FilterTable sequence_filters();
FilterTable value_filters();

}  // namespace nuri::jinja
