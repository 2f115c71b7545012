#include "text/regex_syntax.h"

#include <fmt/format.h>

#include <vector>

#include "base/config_reader.h"
#include "base/error.h"
#include "text/regex_classes.h"
#include "text/unicode.h"

namespace nuri {
namespace {

constexpr size_t kDeepest = 100;

bool digit(char c) { return c >= '0' && c <= '9'; }
bool octal(char c) { return c >= '0' && c <= '7'; }
bool hex(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

class Rewriter {
 public:
  Rewriter(std::string_view pattern, std::string_view where) : in_(pattern), where_(where) {}

  std::string run() {
    groups_.push_back({});
    while (at_ < in_.size()) step();
    if (groups_.size() != 1) fail(ErrorKind::format, "a group without its end");
    out_.append(groups_.back().closings, ')');
    return std::move(out_);
  }

 private:
  struct Group {
    size_t start = 0;       // of the group in out_
    size_t closings = 0;    // groups that an option opened and the group's end closes
    bool extended = false;  // (?x)
  };

  [[noreturn]] void fail(ErrorKind kind, std::string_view found) const {
    throw Error(kind, fmt::format("{}: found the pattern {}: {} at byte {}, expected a regular expression that "
                                  "nuri knows",
                                  where_, shown_text(in_), found, at_));
  }
  [[noreturn]] void unsupported(std::string_view found) const { fail(ErrorKind::unsupported, found); }

  bool next_is(std::string_view text) const { return in_.substr(at_, text.size()) == text; }
  char peek(size_t ahead = 0) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }

  void atom(std::string_view expression) {
    atom_ = out_.size();
    out_ += expression;
  }
  void literal(char32_t code) {
    std::string text;
    if (code < 0x80) {
      text = fmt::format("\\x{{{:X}}}", static_cast<uint32_t>(code));
      if ((code >= '0' && code <= '9') || ((code | 0x20) >= 'a' && (code | 0x20) <= 'z')) text = char(code);
    } else {
      append_utf8(text, code);
    }
    atom(text);
  }

  void step() {
    const char c = in_[at_];
    const bool extended = groups_.back().extended;
    if (c == '\\') return escape();
    if (c == '[') {
      ++at_;
      RegexClass set;
      const bool negated = parse_class(set, 1);
      return atom(class_expression(set, negated));
    }
    if (c == '(') return open_group();
    if (c == ')') return close_group();
    if (c == '{') return interval();
    if (c == '*' || c == '+' || c == '?') {
      out_ += c, ++at_;
      if (peek() == '?' || peek() == '+') out_ += in_[at_++];
      return;
    }
    if (c == '^' || c == '$' || c == '|') {
      out_ += c, ++at_;
      atom_ = out_.size();
      return;
    }
    if (c == '.') {
      ++at_;
      return atom(".");
    }
    if (extended && c == '#') {
      while (at_ < in_.size() && in_[at_] != '\n') ++at_;
      return;
    }
    if (extended && (c == ' ' || (c >= '\t' && c <= '\r'))) {
      ++at_;
      return;
    }
    literal(next_code_point(in_, at_));
  }

  // ---- groups

  void push_group(std::string_view opening, size_t length) {
    if (groups_.size() > kDeepest) unsupported(fmt::format("groups deeper than {}", kDeepest));
    groups_.push_back({out_.size(), 0, groups_.back().extended});
    out_ += opening;
    at_ += length;
  }

  void open_group() {
    if (next_is("(*")) unsupported("a callout");
    if (!next_is("(?")) return push_group("(", 1);
    if (next_is("(?#")) {
      const size_t end = in_.find(')', at_);
      if (end == std::string_view::npos) fail(ErrorKind::format, "a comment without its end");
      at_ = end + 1;
      return;
    }
    for (std::string_view plain : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"})
      if (next_is(plain)) return push_group(plain, plain.size());
    if (next_is("(?<") || next_is("(?'")) {
      const size_t end = in_.find(peek(2) == '<' ? '>' : '\'', at_ + 3);
      if (end == std::string_view::npos) fail(ErrorKind::format, "a group name without its end");
      return push_group(in_.substr(at_, end + 1 - at_), end + 1 - at_);
    }
    option_group();
  }

  void option_group() {
    size_t i = at_ + 2;
    std::string on, off;
    bool negative = false, extended = groups_.back().extended;
    for (; i < in_.size() && in_[i] != ')' && in_[i] != ':'; ++i) {
      std::string& letters = negative ? off : on;
      if (in_[i] == '-' && !negative)
        negative = true;
      else if (in_[i] == 'i')
        letters += 'i';
      else if (in_[i] == 'm')
        letters += 's';
      else if (in_[i] == 'x')
        extended = !negative;
      else
        unsupported(fmt::format("the group {}", shown_text(in_.substr(at_), 4)));
    }
    if (i >= in_.size()) fail(ErrorKind::format, "an option without its end");
    const std::string opening = "(?" + on + (off.empty() ? "" : "-" + off) + ":";
    if (in_[i] == ':') {
      push_group(opening, i + 1 - at_);
    } else {
      // The option reaches to the end of its group, over every alternative to come.
      out_ += opening;
      ++groups_.back().closings;
      if (groups_.back().closings > kDeepest) unsupported(fmt::format("more than {} options", kDeepest));
      at_ = i + 1;
    }
    groups_.back().extended = extended;
  }

  void close_group() {
    if (groups_.size() == 1) fail(ErrorKind::format, "an end without its group");
    out_.append(groups_.back().closings + 1, ')');
    atom_ = groups_.back().start;
    groups_.pop_back();
    ++at_;
  }

  // {n}, {n,}, {,m}, {n,m}; anything else is a plain brace.
  void interval() {
    size_t i = at_ + 1;
    const auto number = [&] {
      const size_t start = i;
      while (i < in_.size() && digit(in_[i])) ++i;
      return std::string(in_.substr(start, i - start));
    };
    const std::string low = number();
    const bool comma = i < in_.size() && in_[i] == ',';
    std::string high = low;
    if (comma) ++i, high = number();
    if (i >= in_.size() || in_[i] != '}' || (low.empty() && high.empty())) {
      ++at_;
      return literal('{');
    }
    at_ = i + 1;
    const bool fixed = !comma;
    const std::string range = "{" + (low.empty() ? "0" : low) + (fixed ? "" : "," + high) + "}";
    // A plus behind an interval repeats it again, and so does a question mark behind {n}.
    if (peek() == '+' || (fixed && peek() == '?')) {
      out_.insert(atom_, "(?:");
      out_ += range + ")" + in_[at_++];
    } else {
      out_ += range;
      if (peek() == '?') out_ += in_[at_++];
    }
  }

  // ---- escapes

  // The code point of an escape that stands for one character, read behind the backslash; false when it is none.
  bool character_escape(char32_t& code) {
    const char c = peek();
    constexpr std::string_view kLetters = "tnrfvae";
    constexpr std::string_view kCodes = "\t\n\r\f\v\a\x1B";
    if (const size_t index = kLetters.find(c); c != '\0' && index != std::string_view::npos) {
      ++at_;
      code = static_cast<unsigned char>(kCodes[index]);
      return true;
    }
    if (c == 'x' && peek(1) == '{') {
      const size_t end = in_.find('}', at_);
      if (end == std::string_view::npos || end - at_ < 3 || end - at_ > 10) unsupported("a character code");
      at_ += 2;
      code = hex_digits(end - at_);
      ++at_;
      return true;
    }
    if (c == 'x') {
      ++at_;
      code = hex_digits(hex(peek()) ? (hex(peek(1)) ? 2 : 1) : 0);
      if (code > 0x7F) unsupported("a single byte above 7F");
      return true;
    }
    if (c == 'u') {
      for (size_t i = 1; i <= 4; ++i)
        if (!hex(peek(i))) unsupported("a character code that is too short");
      ++at_;
      code = hex_digits(4);
      return true;
    }
    if (c == '0') {
      code = 0;
      for (int i = 0; i < 3 && octal(peek()); ++i) code = code * 8 + static_cast<char32_t>(in_[at_++] - '0');
      return true;
    }
    return false;
  }

  char32_t hex_digits(size_t count) {
    char32_t code = 0;
    for (size_t i = 0; i < count; ++i, ++at_) {
      const char c = peek();
      if (!hex(c)) fail(ErrorKind::format, "a character code that is no hexadecimal number");
      code = code * 16 + static_cast<char32_t>(digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
      if (code > 0x10FFFF) break;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) fail(ErrorKind::format, "an invalid character code");
    return code;
  }

  // \s \S \w \W \d \D \h \H \p{..} \P{..}; false when the escape is another.
  bool class_escape(RegexClass& set, bool in_class) {
    const char c = peek();
    const bool negated = c >= 'A' && c <= 'Z';
    RegexClass found;
    switch (c) {
      case 's':
      case 'S':
        found.inside = kRegexSpace;
        break;
      case 'w':
      case 'W':
        found.inside = kRegexWord;
        // Outside a class the reference asks its Latin-1 table, where superscripts and fractions are word characters.
        if (!in_class) found.inside += R"(\xB2\xB3\xB9\xBC-\xBE)";
        break;
      case 'd':
      case 'D':
        found.inside = "\\p{Nd}";
        break;
      case 'h':
      case 'H':
        found.inside = "0-9A-Fa-f";
        break;
      case 'p':
      case 'P': {
        if (peek(1) != '{') return false;
        const size_t end = in_.find('}', at_);
        if (end == std::string_view::npos) fail(ErrorKind::format, "a property without its end");
        const std::string_view name = in_.substr(at_ + 2, end - at_ - 2);
        if (!add_property(set, name, c == 'P', false))
          unsupported(fmt::format("the property {}", shown_text(name, 40)));
        at_ = end + 1;
        return true;
      }
      default:
        return false;
    }
    ++at_;
    unite(set, found, negated);
    return true;
  }

  void escape() {
    ++at_;
    if (at_ >= in_.size()) fail(ErrorKind::format, "a backslash at the end");
    RegexClass set;
    if (class_escape(set, false)) return atom(class_expression(set, false));
    char32_t code = 0;
    if (character_escape(code)) return literal(code);
    const char c = peek();
    const std::string word = fmt::format(R"([{}\xB2\xB3\xB9\xBC-\xBE])", kRegexWord);
    switch (c) {
      case 'b':
        ++at_;
        return atom(fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", word));
      case 'B':
        ++at_;
        return atom(fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", word));
      case 'R':
        ++at_;
        return atom(R"((?>\x0D\x0A|[\x0A-\x0D\x85\x{2028}\x{2029}]))");
      case 'N':
        ++at_;
        return atom(R"([^\x0A])");
      case 'O':
        ++at_;
        return atom("(?s:.)");
      case 'X':
      case 'A':
      case 'Z':
      case 'z':
      case 'G':
        ++at_;
        return atom(std::string("\\") + c);
      case 'k':
      case 'g': {
        const size_t end = peek(1) == '<' ? in_.find('>', at_) : std::string_view::npos;
        if (end == std::string_view::npos) unsupported("a reference to a group");
        std::string name(in_.substr(at_ + 2, end - at_ - 2));
        at_ = end + 1;
        if (c == 'g') return atom("\\g<" + name + ">");
        return atom(name.find_first_not_of("0123456789") == std::string::npos ? "\\g{" + name + "}"
                                                                              : "\\k<" + name + ">");
      }
      default:
        break;
    }
    if (digit(c)) {
      const size_t start = at_;
      while (digit(peek())) ++at_;
      return atom(fmt::format("\\g{{{}}}", in_.substr(start, at_ - start)));
    }
    if (std::string_view("KyYcCM").find(c) != std::string_view::npos) unsupported(fmt::format("\\{}", c));
    literal(next_code_point(in_, at_));
  }

  // ---- classes

  // Reads behind '['; returns whether the class is negated.
  bool parse_class(RegexClass& set, size_t depth) {
    if (depth > kDeepest) unsupported(fmt::format("classes deeper than {}", kDeepest));
    const bool negated = peek() == '^';
    if (negated) ++at_;
    std::vector<std::string> operands;  // of &&, but for the last
    bool first = true;
    for (;; first = false) {
      if (at_ >= in_.size()) fail(ErrorKind::format, "a class without its end");
      if (in_[at_] == ']' && !first) break;
      if (next_is("&&")) {
        at_ += 2;
        operands.push_back(class_expression(set, false));
        set = {};
        continue;
      }
      class_item(set, depth);
    }
    ++at_;
    if (!operands.empty()) {
      std::string all = class_expression(set, false);
      for (const auto& operand : operands) all = "(?=" + operand + ")" + all;
      set = {"", {"(?:" + all + ")"}};
    }
    return negated;
  }

  void class_item(RegexClass& set, size_t depth) {
    if (next_is("[:")) {
      const size_t end = in_.find(":]", at_ + 2);
      if (end != std::string_view::npos && end - at_ < 24) {
        const std::string_view name = in_.substr(at_ + 2, end - at_ - 2);
        if (!add_property(set, name, false, true)) unsupported(fmt::format("the class {}", shown_text(name, 40)));
        at_ = end + 2;
        return;
      }
    }
    if (in_[at_] == '[') {
      ++at_;
      RegexClass inner;
      const bool negated = parse_class(inner, depth + 1);
      return unite(set, inner, negated);
    }
    char32_t low = 0, high = 0;
    if (!class_character(set, low)) return;
    high = low;
    if (peek() == '-' && at_ + 1 < in_.size() && peek(1) != ']' && peek(1) != '[' && in_.substr(at_ + 1, 2) != "&&") {
      const size_t dash = at_++;
      RegexClass behind;
      if (class_character(behind, high)) {
        if (high < low) fail(ErrorKind::format, "a range that runs backwards");
      } else {
        at_ = dash;  // "a-\d": the dash stands for itself
        high = low;
      }
    }
    set.inside += fmt::format("\\x{{{:X}}}", static_cast<uint32_t>(low));
    if (high > low) set.inside += fmt::format("-\\x{{{:X}}}", static_cast<uint32_t>(high));
  }

  // One character of a class; or false, and an escape for a set went into `set`.
  bool class_character(RegexClass& set, char32_t& code) {
    if (in_[at_] != '\\') {
      code = next_code_point(in_, at_);
      return true;
    }
    ++at_;
    if (at_ >= in_.size()) fail(ErrorKind::format, "a backslash at the end");
    if (class_escape(set, true)) return false;
    if (peek() == 'b') {
      ++at_;
      code = 8;
      return true;
    }
    if (character_escape(code)) return true;
    if (octal(peek())) {
      code = 0;
      for (int i = 0; i < 3 && octal(peek()); ++i) code = code * 8 + static_cast<char32_t>(in_[at_++] - '0');
      return true;
    }
    if (std::string_view("RXcCM").find(peek()) != std::string_view::npos) unsupported(fmt::format("\\{}", peek()));
    code = next_code_point(in_, at_);
    return true;
  }

  std::string_view in_, where_;
  size_t at_ = 0;
  std::string out_;
  size_t atom_ = 0;  // where the last atom starts in out_
  std::vector<Group> groups_;
};

}  // namespace

std::string pcre2_from_oniguruma(std::string_view pattern, std::string_view where) {
  return Rewriter(pattern, where).run();
}

}  // namespace nuri
