#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nuri {

// A set of characters on its way into PCRE2: the inside of a plain class, and expressions for one character
// that PCRE2 cannot nest in a class.
struct RegexClass {
  std::string inside;                 // "a-z\\p{L}"
  std::vector<std::string> separate;  // "[^\\p{L}]"
};

// An expression that matches one character of the set, or one outside it.
std::string class_expression(const RegexClass& set, bool negated);
void unite(RegexClass& set, const RegexClass& more, bool negated);

// What \s and \w stand for inside a class.
extern const std::string_view kRegexSpace, kRegexWord;

// Adds the property of \p{name} ("^L" and "L" alike). `bracket`: the name stood in [:name:], where punct means more.
// False when the name is unknown.
bool add_property(RegexClass& set, std::string_view name, bool negated, bool bracket);

}  // namespace nuri
