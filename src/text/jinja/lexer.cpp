#include "text/jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "text/jinja/codepoints.h"

namespace nuri::jinja {
namespace {

std::string normalize_newlines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') {
      out += '\n';
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize_newlines(source)) {
    if (!source_.empty() && source_.back() == '\n') source_.pop_back();
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) root();
    push(TokenKind::end);
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void syntax_error(const std::string& message) const { throw SyntaxFailure{line_, message}; }
  bool looking_at(std::string_view text) const { return std::string_view(source_).substr(at_, text.size()) == text; }
  char peek(size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }

  void advance(size_t bytes) {
    std::string_view passed = std::string_view(source_).substr(at_, bytes);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    line_starting_ = !passed.empty() && passed.back() == '\n';
    at_ += bytes;
  }
  void push(TokenKind kind, std::string text = {}) { tokens_.push_back({kind, line_, std::move(text)}); }

  // The length of the white space at `from`, as \s* matches it.
  size_t space_length(size_t from) const {
    std::string_view rest = std::string_view(source_).substr(from);
    return rest.size() - strip(rest, true, false).size();
  }

  // Pushes the text before a tag, with the white space taken away that `sign` and lstrip_blocks ask for.
  void push_data(std::string_view text, char sign, bool is_variable) {
    if (sign == '-') {
      text = strip(text, false, true);
    } else if (sign != '+' && !is_variable) {
      size_t newline = text.rfind('\n');
      size_t start = newline == std::string_view::npos ? 0 : newline + 1;
      if (start > 0 || line_starting_) {
        if (strip(text.substr(start), true, false).empty()) text = text.substr(0, start);
      }
    }
    if (!text.empty()) push(TokenKind::data, std::string(text));
  }

  void root() {
    size_t tag = at_;
    while (tag + 1 < source_.size() &&
           !(source_[tag] == '{' && (source_[tag + 1] == '{' || source_[tag + 1] == '%' || source_[tag + 1] == '#'))) {
      ++tag;
    }
    if (tag + 1 >= source_.size()) {
      push(TokenKind::data, source_.substr(at_));
      at_ = source_.size();
      return;
    }
    char type = source_[tag + 1];
    char sign = tag + 2 < source_.size() && (source_[tag + 2] == '-' || source_[tag + 2] == '+') ? source_[tag + 2] : 0;
    push_data(std::string_view(source_).substr(at_, tag - at_), sign, type == '{');
    advance(tag - at_);
    if (type == '%') {
      if (size_t raw = raw_begin_length(sign ? 3 : 2)) {
        advance(raw);
        return raw_block();
      }
    }
    if (type != '#') push(type == '{' ? TokenKind::variable_begin : TokenKind::block_begin);
    advance(sign ? 3 : 2);
    type == '#' ? comment() : code(type == '{');
  }

  void comment() {
    size_t end = source_.find("#}", at_);
    if (end == std::string::npos) {
      if (at_ == source_.size()) return;  // Jinja lets a bare opening at the very end pass
      syntax_error("missing end of comment tag");
    }
    bool strips = end > at_ && source_[end - 1] == '-', keeps = end > at_ && source_[end - 1] == '+';
    advance(end - at_);
    close_tag(2, strips, !keeps);
  }

  // Passes the closing marker of `length` bytes and the white space behind it that goes with it.
  void close_tag(size_t length, bool strips, bool trims_newline) {
    size_t end = at_ + length;
    if (strips) {
      length += space_length(end);
    } else if (trims_newline && end < source_.size() && source_[end] == '\n') {
      ++length;
    }
    advance(length);
  }

  // The length of `{% raw %}` here (its head, up to the sign, has `head` bytes), or 0.
  size_t raw_begin_length(size_t head) const {
    size_t at = at_ + head;
    at += space_length(at);
    if (source_.compare(at, 3, "raw") != 0) return 0;
    at += 3;
    at += space_length(at);
    if (source_.compare(at, 3, "-%}") == 0) return at + 3 + space_length(at + 3) - at_;
    return source_.compare(at, 2, "%}") == 0 ? at + 2 - at_ : 0;
  }

  void raw_block() {
    for (size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 1)) {
      size_t at = tag + 2;
      char sign = at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : 0;
      if (sign) ++at;
      at += space_length(at);
      if (source_.compare(at, 6, "endraw") != 0) continue;
      at += 6;
      at += space_length(at);
      bool strips = source_.compare(at, 3, "-%}") == 0, keeps = source_.compare(at, 3, "+%}") == 0;
      if (!strips && !keeps && source_.compare(at, 2, "%}") != 0) continue;
      push_data(std::string_view(source_).substr(at_, tag - at_), sign, false);
      advance(at - at_);
      return close_tag(strips || keeps ? 3 : 2, strips, !keeps);
    }
    if (at_ < source_.size()) syntax_error("missing end of raw directive");
  }

  // The inside of {{ }} or {% %}.
  void code(bool is_variable) {
    std::string open;
    while (at_ < source_.size()) {
      if (open.empty() && close(is_variable)) return;
      if (size_t space = space_length(at_)) {
        advance(space);
      } else if (!number() && !name() && !string()) {
        sign(open);
      }
    }
  }

  bool close(bool is_variable) {
    std::string_view marker = is_variable ? "}}" : "%}";
    char first = peek();
    bool strips = first == '-', keeps = first == '+' && !is_variable;
    if (std::string_view(source_).substr(at_ + (strips || keeps ? 1 : 0), 2) != marker) return false;
    push(is_variable ? TokenKind::variable_end : TokenKind::block_end);
    close_tag(strips || keeps ? 3 : 2, strips, !is_variable && !keeps);
    return true;
  }

  // digits with single underscores between them; the index behind, or `from` when there are none
  size_t digits(size_t from, int base) const {
    auto fits = [&](size_t i) {
      if (i >= source_.size()) return false;
      char c = source_[i];
      if (base <= 10) return c >= '0' && c < '0' + base;
      return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    };
    if (!fits(from)) return from;
    size_t at = from;
    while (fits(at) || (at < source_.size() && source_[at] == '_' && fits(at + 1))) ++at;
    return at;
  }

  bool number() {
    if (!digit(peek())) return false;
    return real_number() || prefixed_number() || decimal_number();
  }

  bool real_number() {
    if (at_ > 0 && source_[at_ - 1] == '.') return false;
    size_t end = digits(at_, 10), whole = end;
    if (end < source_.size() && source_[end] == '.') {
      size_t fraction = digits(end + 1, 10);
      if (fraction > end + 1) end = fraction;
    }
    if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      size_t exponent = end + 1;
      if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) ++exponent;
      size_t behind = digits(exponent, 10);
      if (behind > exponent) end = behind;
    }
    if (end == whole) return false;
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    push(TokenKind::real);
    auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), tokens_.back().real);
    if (error != std::errc()) syntax_error(fmt::format("number {} is out of range", text));
    advance(end - at_);
    return true;
  }

  bool prefixed_number() {
    char letter = static_cast<char>(peek(1) | 0x20);
    int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (peek() != '0' || base == 0) return false;
    size_t start = at_ + 2;
    if (start < source_.size() && source_[start] == '_') ++start;
    size_t end = digits(start, base);
    if (end == start) return false;
    return integer(source_.substr(start, end - start), base, end);
  }

  bool decimal_number() {
    size_t end = digits(at_, 10);
    if (peek() == '0') {
      for (end = at_ + 1; end < source_.size(); ++end) {
        if (source_[end] != '0' && !(source_[end] == '_' && end + 1 < source_.size() && source_[end + 1] == '0')) break;
      }
    }
    return integer(source_.substr(at_, end - at_), 10, end);
  }

  bool integer(std::string text, int base, size_t end) {
    std::erase(text, '_');
    push(TokenKind::integer);
    auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), tokens_.back().integer, base);
    if (error != std::errc()) syntax_error(fmt::format("integer {} is beyond 64 bits", text));
    advance(end - at_);
    return true;
  }

  bool name() {
    size_t end = at_;
    while (end < source_.size()) {
      size_t behind = end;
      char32_t c = next_code_point(source_, behind);
      if (!is_word(c) || (end == at_ && is_numeric(c))) break;
      end = behind;
    }
    if (end == at_) return false;
    push(TokenKind::name, source_.substr(at_, end - at_));
    advance(end - at_);
    return true;
  }

  bool string() {
    char quote = peek();
    if (quote != '\'' && quote != '"') return false;
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) syntax_error("a string without its closing quote");
    push(TokenKind::string, unescape(std::string_view(source_).substr(at_ + 1, end - at_ - 1)));
    advance(end + 1 - at_);
    return true;
  }

  void append_escape_number(std::string& out, std::string_view text, size_t& at, size_t width) const {
    uint32_t code = 0;
    if (at + width > text.size()) syntax_error("truncated escape in a string");
    auto [rest, error] = std::from_chars(text.data() + at, text.data() + at + width, code, 16);
    if (error != std::errc() || rest != text.data() + at + width) syntax_error("truncated escape in a string");
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      syntax_error(fmt::format("escape \\u{:04x} is no character", code));
    }
    append_code_point(out, code);
    at += width;
  }

  // Python's unicode-escape codec on the string's text.
  std::string unescape(std::string_view text) const {
    std::string out;
    for (size_t at = 0; at < text.size();) {
      char c = text[at++];
      if (c != '\\' || at >= text.size()) {
        out += c;
        continue;
      }
      c = text[at];
      constexpr std::string_view kLetters = "\\'\"abfnrtv", kMeanings = "\\'\"\a\b\f\n\r\t\v";
      if (size_t known = kLetters.find(c); known != std::string_view::npos) {
        out += kMeanings[known];
        ++at;
      } else if (c == '\n') {
        ++at;
      } else if (c == 'x' || c == 'u' || c == 'U') {
        ++at;
        append_escape_number(out, text, at, c == 'x' ? 2 : c == 'u' ? 4 : 8);
      } else if (c >= '0' && c < '8') {
        uint32_t code = 0;
        for (int i = 0; i < 3 && at < text.size() && text[at] >= '0' && text[at] < '8'; ++i) {
          code = code * 8 + static_cast<uint32_t>(text[at++] - '0');
        }
        append_code_point(out, code);
      } else if (c == 'N') {
        syntax_error("escapes \\N{...} are not supported in strings");
      } else if (static_cast<unsigned char>(c) >= 0x80) {
        // Jinja first writes the character as an escape, whose backslash the one before it then quotes.
        char32_t code = next_code_point(text, at);
        out += code < 0x100     ? fmt::format("\\x{:02x}", static_cast<uint32_t>(code))
               : code < 0x10000 ? fmt::format("\\u{:04x}", static_cast<uint32_t>(code))
                                : fmt::format("\\U{:08x}", static_cast<uint32_t>(code));
      } else {
        out += '\\';
      }
    }
    return out;
  }

  void sign(std::string& open) {
    static constexpr std::string_view kSigns[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                  "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                  ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    const std::string_view* found =
        std::find_if(std::begin(kSigns), std::end(kSigns), [&](std::string_view s) { return looking_at(s); });
    if (found == std::end(kSigns)) {
      size_t behind = at_;
      next_code_point(source_, behind);
      syntax_error(fmt::format("unexpected character '{}'", source_.substr(at_, behind - at_)));
    }
    constexpr std::string_view kOpening = "([{", kClosing = ")]}";
    if (kOpening.find(*found) != std::string_view::npos) {
      open += kClosing[kOpening.find(*found)];
    } else if (kClosing.find(*found) != std::string_view::npos) {
      if (open.empty()) syntax_error(fmt::format("unexpected '{}'", *found));
      if (open.back() != found->front()) {
        syntax_error(fmt::format("unexpected '{}', expected '{}'", *found, open.back()));
      }
      open.pop_back();
    }
    push(TokenKind::sign, std::string(*found));
    advance(found->size());
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace nuri::jinja
