#include "text/jinja/arguments.h"

#include <fmt/format.h>

namespace nuri::jinja {

Bound::Bound(std::string_view callee, const CallArguments& arguments, std::initializer_list<std::string_view> names,
             size_t required)
    : callee_(callee), values_(names.size(), nullptr) {
  if (arguments.positional.size() > names.size()) {
    fail(fmt::format("{}() takes at most {} arguments, {} were given", callee, names.size(),
                     arguments.positional.size()));
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.keywords) {
    size_t i = 0;
    while (i < names.size() && names.begin()[i] != name) ++i;
    if (i == names.size()) fail(fmt::format("{}() takes no keyword argument '{}'", callee, name));
    if (values_[i]) fail(fmt::format("{}() was given the argument '{}' twice", callee, name));
    values_[i] = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!values_[i]) fail(fmt::format("{}() needs the argument '{}'", callee, names.begin()[i]));
  }
}

int64_t Bound::integer(size_t i, int64_t fallback) const { return has(i) ? need_integer(*values_[i]) : fallback; }

std::string Bound::text(size_t i, std::string_view fallback) const {
  return has(i) ? need_text(*values_[i]) : std::string(fallback);
}

int64_t need_integer(const Value& value) {
  if (value.is(Kind::undefined)) fail(value.text());
  if (!value.is_integral()) fail(fmt::format("expected an integer, found '{}'", type_name(value)));
  return value.integer();
}

const std::string& need_text(const Value& value) {
  if (!value.is(Kind::string)) fail(fmt::format("expected a string, found '{}'", type_name(value)));
  return value.text();
}

}  // namespace nuri::jinja
