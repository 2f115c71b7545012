#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nuri {

// A part of a text, in bytes, that a pattern matched or did not.
struct Span {
  size_t begin, end;
  bool match;
};

// A compiled regular expression, or a plain string to look for. Copies share it; use from several threads is safe.
class Pattern {
 public:
  // In the syntax of tokenizer files (Oniguruma). `where` ("file: key") stands in messages. Throws Error(format) for
  // an expression that is none, Error(unsupported) for one with parts that nuri does not know.
  static Pattern regex(std::string_view expression, std::string where);
  static Pattern plain(std::string text, std::string where);

  // Matches from left to right and what lies between, covering the text; an empty text gives one empty span.
  // Throws Error(resource) when the expression takes too many steps on this text.
  std::vector<Span> find(std::string_view text) const;
  // The same, one by one.
  void visit(std::string_view text, const std::function<void(const Span&)>& take) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;  // none for a plain string
  std::string plain_, where_;
};

}  // namespace nuri
