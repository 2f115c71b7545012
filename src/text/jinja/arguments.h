#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace nuri::jinja {

// The arguments of one call bound to parameters, as Python binds them; fails with a TypeError's message.
class Bound {
 public:
  // `names`: the parameters in order, the first `required` without default; a name beginning with '/' is
  // positional only.
  Bound(std::string_view callee, const CallArguments& arguments, std::initializer_list<std::string_view> names,
        size_t required = 0);

  bool has(size_t i) const { return values_[i] != nullptr; }
  const Value& operator[](size_t i) const { return *values_[i]; }
  // The argument, or None when absent.
  Value or_none(size_t i) const { return has(i) ? *values_[i] : Value::none(); }
  int64_t integer(size_t i, int64_t fallback) const;
  std::string text(size_t i, std::string_view fallback) const;

 private:
  std::string_view callee_;
  std::vector<const Value*> values_;
};

// The integer of an int or bool; fails for others.
int64_t need_integer(const Value& value);
// The text of a string; fails for others.
const std::string& need_text(const Value& value);

}  // namespace nuri::jinja
