#include "text/regex_classes.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cctype>
#include <map>

namespace nuri {

const std::string_view kRegexSpace =
    R"(\x09-\x0D\x20\x85\xA0\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
const std::string_view kRegexWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

namespace {

// Oniguruma ignores case, spaces, '-' and '_' in names.
std::string plain_name(std::string_view name) {
  std::string plain;
  for (char c : name)
    if (c != ' ' && c != '-' && c != '_') plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return plain;
}

bool compiles(const std::string& pattern) {
  int code = 0;
  size_t offset = 0;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                       PCRE2_UTF | PCRE2_UCP, &code, &offset, nullptr);
  pcre2_code_free(compiled);
  return compiled != nullptr;
}

// POSIX names and long names of general categories, as the inside of a class; '^' in front: of a negated class.
const std::map<std::string, std::string, std::less<>>& named_sets() {
  static const std::map<std::string, std::string, std::less<>> sets = [] {
    const std::string space(kRegexSpace), word(kRegexWord);
    // With what Unicode added to these properties after PCRE2's tables.
    const std::string alphabetic =
        R"(\p{Alphabetic}\x{363}-\x{36F}\x{C04}\x{F82}\x{F83}\x{1DD3}-\x{1DE6}\x{11080}\x{11081})";
    const std::string lowercase = R"(\p{Lowercase}\x{10FC}\x{A7F2}-\x{A7F4}\x{AB69})";
    std::map<std::string, std::string, std::less<>> names = {{"alnum", alphabetic + R"(\p{Nd})"},
                                                             {"alpha", alphabetic},
                                                             {"alphabetic", alphabetic},
                                                             {"blank", R"(\x09\p{Zs})"},
                                                             {"cntrl", R"(\p{Cc})"},
                                                             {"digit", R"(\p{Nd})"},
                                                             {"graph", "^" + space + R"(\p{Cc}\p{Cn}\p{Cs})"},
                                                             {"print", R"(^\x{2028}\x{2029}\p{Cc}\p{Cn}\p{Cs})"},
                                                             {"lower", lowercase},
                                                             {"lowercase", lowercase},
                                                             {"upper", R"(\p{Uppercase})"},
                                                             {"space", space},
                                                             {"xdigit", "0-9A-Fa-f"},
                                                             {"word", word},
                                                             {"ascii", R"(\x00-\x7F)"},
                                                             {"any", R"(\x00-\x{10FFFF})"},
                                                             {"assigned", R"(\P{Cn})"},
                                                             {"lc", R"(\p{Lu}\p{Ll}\p{Lt})"},
                                                             {"casedletter", R"(\p{Lu}\p{Ll}\p{Lt})"}};
    const std::pair<const char*, const char*> categories[] = {{"letter", "L"},
                                                              {"uppercaseletter", "Lu"},
                                                              {"lowercaseletter", "Ll"},
                                                              {"titlecaseletter", "Lt"},
                                                              {"modifierletter", "Lm"},
                                                              {"otherletter", "Lo"},
                                                              {"mark", "M"},
                                                              {"combiningmark", "M"},
                                                              {"nonspacingmark", "Mn"},
                                                              {"spacingmark", "Mc"},
                                                              {"enclosingmark", "Me"},
                                                              {"number", "N"},
                                                              {"decimalnumber", "Nd"},
                                                              {"letternumber", "Nl"},
                                                              {"othernumber", "No"},
                                                              {"symbol", "S"},
                                                              {"mathsymbol", "Sm"},
                                                              {"currencysymbol", "Sc"},
                                                              {"modifiersymbol", "Sk"},
                                                              {"othersymbol", "So"},
                                                              {"punctuation", "P"},
                                                              {"punct", "P"},
                                                              {"connectorpunctuation", "Pc"},
                                                              {"dashpunctuation", "Pd"},
                                                              {"openpunctuation", "Ps"},
                                                              {"closepunctuation", "Pe"},
                                                              {"initialpunctuation", "Pi"},
                                                              {"finalpunctuation", "Pf"},
                                                              {"otherpunctuation", "Po"},
                                                              {"separator", "Z"},
                                                              {"spaceseparator", "Zs"},
                                                              {"lineseparator", "Zl"},
                                                              {"paragraphseparator", "Zp"},
                                                              {"other", "C"},
                                                              {"control", "Cc"},
                                                              {"format", "Cf"},
                                                              {"unassigned", "Cn"},
                                                              {"privateuse", "Co"},
                                                              {"surrogate", "Cs"}};
    for (const auto& [name, category] : categories) names[name] = std::string("\\p{") + category + "}";
    for (const char* category : {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd", "Nl",
                                 "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk",
                                 "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Cn", "Co", "Cs"})
      names[plain_name(category)] = std::string("\\p{") + category + "}";
    return names;
  }();
  return sets;
}

}  // namespace

std::string class_expression(const RegexClass& set, bool negated) {
  const std::string plain = set.inside.empty() ? "" : "[" + set.inside + "]";
  if (set.separate.empty()) {
    if (set.inside.empty()) return negated ? "(?s:.)" : "(?!)";
    return negated ? "[^" + set.inside + "]" : plain;
  }
  std::string any = plain;
  for (const auto& expression : set.separate) any += (any.empty() ? "" : "|") + expression;
  if (negated) return "(?:(?!" + any + ")(?s:.))";
  return set.inside.empty() && set.separate.size() == 1 ? any : "(?:" + any + ")";
}

void unite(RegexClass& set, const RegexClass& more, bool negated) {
  if (negated) {
    set.separate.push_back(class_expression(more, true));
  } else {
    set.inside += more.inside;
    set.separate.insert(set.separate.end(), more.separate.begin(), more.separate.end());
  }
}

bool add_property(RegexClass& set, std::string_view name, bool negated, bool bracket) {
  if (name.starts_with('^')) name.remove_prefix(1), negated = !negated;
  const std::string plain = plain_name(name);
  RegexClass property;
  const auto& sets = named_sets();
  if (bracket && plain == "punct") {
    property.inside = R"(\p{P}\p{S})";
  } else if (auto found = sets.find(plain); found != sets.end()) {
    if (found->second[0] == '^') {
      property.inside = found->second.substr(1);
      negated = !negated;
    } else {
      property.inside = found->second;
    }
  } else if (plain.empty() || plain.find_first_not_of("abcdefghijklmnopqrstuvwxyz") != std::string::npos) {
    return false;
  } else if (compiles("\\p{sc:" + plain + "}")) {
    property.inside = "\\p{sc:" + plain + "}";
  } else if (compiles("\\p{" + plain + "}")) {
    property.inside = "\\p{" + plain + "}";
  } else {
    return false;
  }
  // One property alone has its own negation, which may stand in a class.
  if (negated && property.inside.starts_with("\\p") && property.inside.find('}') + 1 == property.inside.size()) {
    property.inside[1] = 'P';
    negated = false;
  }
  unite(set, property, negated);
  return true;
}

}  // namespace nuri
