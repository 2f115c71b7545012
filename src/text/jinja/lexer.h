#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nuri::jinja {

enum class TokenKind {
  data,
  variable_begin,
  variable_end,
  block_begin,
  block_end,
  name,
  string,
  integer,
  real,
  sign,
  end
};

struct Token {
  TokenKind kind = TokenKind::end;
  int line = 1;
  std::string text;  // name, sign, string contents or data
  int64_t integer = 0;
  double real = 0;

  bool is_sign(std::string_view sign) const { return kind == TokenKind::sign && text == sign; }
  bool is_name(std::string_view name) const { return kind == TokenKind::name && text == name; }
};

// A mistake in the template's text.
struct SyntaxFailure {
  int line;
  std::string message;
};

// Cuts a template into tokens as Jinja 3.1 does with trim_blocks and lstrip_blocks on and
// keep_trailing_newline off. Comments are dropped and raw blocks are data. `source` must be UTF-8.
// Throws SyntaxFailure. The last token is `end`.
std::vector<Token> tokenize(std::string_view source);

}  // namespace nuri::jinja
