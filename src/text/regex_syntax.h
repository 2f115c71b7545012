#pragma once

#include <string>
#include <string_view>

namespace nuri {

// Rewrites a regular expression from the syntax of tokenizer files (Oniguruma, Ruby flavour) into one for PCRE2
// with UTF, UCP and MULTILINE, newline LF, that matches the same: character classes that PCRE2 defines otherwise
// (\s, \w, \h, \v, [:punct:], scripts), nested classes and &&, (?m) for the dot, options that reach to the end of
// their group, intervals. Throws Error(unsupported) or Error(format) with `where` in front, which names the file
// and the key.
std::string pcre2_from_oniguruma(std::string_view pattern, std::string_view where);

}  // namespace nuri
