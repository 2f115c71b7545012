#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include "base/config_reader.h"
#include "base/error.h"
#include "text/regex_syntax.h"
#include "text/unicode.h"

namespace nuri {

template <auto kFree>
struct FreeBy {
  template <class T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};

namespace {

constexpr uint32_t kMatchLimit = 10'000'000;  // steps of one match
constexpr uint32_t kHeapLimit = 64 << 10;     // kilobytes
constexpr size_t kMaxPattern = 1 << 20;

// What matching needs on each thread.
struct Matcher {
  std::unique_ptr<pcre2_match_data, FreeBy<pcre2_match_data_free>> data{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, FreeBy<pcre2_match_context_free>> context{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, FreeBy<pcre2_jit_stack_free>> stack{
      pcre2_jit_stack_create(32 << 10, 16 << 20, nullptr)};

  Matcher() {
    if (!data || !context) throw Error(ErrorKind::resource, "found no memory for matching a regular expression");
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimit);
    if (stack) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

Matcher& matcher() {
  static thread_local Matcher one;
  return one;
}

std::string message_of(int code) {
  unsigned char text[256] = "";
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

void visit_plain(std::string_view text, std::string_view wanted, const std::function<void(const Span&)>& take) {
  size_t last = 0;
  for (size_t at; (at = text.find(wanted, last)) != std::string_view::npos; last = at + wanted.size()) {
    if (last != at) take({last, at, false});
    take({at, at + wanted.size(), true});
  }
  if (last != text.size()) take({last, text.size(), false});
}

}  // namespace

struct Pattern::Code {
  std::unique_ptr<pcre2_code, FreeBy<pcre2_code_free>> code;
};

Pattern Pattern::plain(std::string text, std::string where) {
  if (text.empty()) return regex("", std::move(where));
  Pattern pattern;
  pattern.plain_ = std::move(text);
  pattern.where_ = std::move(where);
  return pattern;
}

Pattern Pattern::regex(std::string_view expression, std::string where) {
  if (expression.size() > kMaxPattern)
    throw Error(ErrorKind::unsupported, fmt::format("{}: found a pattern of {} bytes, expected at most {}", where,
                                                    expression.size(), kMaxPattern));
  const std::string translated = pcre2_from_oniguruma(expression, where);
  std::unique_ptr<pcre2_compile_context, FreeBy<pcre2_compile_context_free>> context(
      pcre2_compile_context_create(nullptr));
  if (context) pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t offset = 0;
  auto code = std::make_shared<Code>();
  code->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_DUPNAMES,
                                 &error, &offset, context.get()));
  if (!code->code)
    throw Error(ErrorKind::format, fmt::format("{}: found the pattern {}, expected a regular expression: {}", where,
                                               shown_text(expression), message_of(error)));
  pcre2_jit_compile(code->code.get(), PCRE2_JIT_COMPLETE);  // where it fails, matching interprets
  Pattern pattern;
  pattern.code_ = std::move(code);
  pattern.where_ = std::move(where);
  return pattern;
}

std::vector<Span> Pattern::find(std::string_view text) const {
  std::vector<Span> spans;
  visit(text, [&](const Span& span) { spans.push_back(span); });
  return spans;
}

void Pattern::visit(std::string_view text, const std::function<void(const Span&)>& take) const {
  if (text.empty()) return take({0, 0, false});
  if (!code_) return visit_plain(text, plain_, take);
  Matcher& with = matcher();
  size_t from = 0, previous = 0, last_match = SIZE_MAX;
  while (from <= text.size()) {
    const int rc = pcre2_match(code_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                               PCRE2_NO_UTF_CHECK, with.data.get(), with.context.get());
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0)
      throw Error(ErrorKind::resource,
                  fmt::format("{}: found a regular expression that takes too many steps on this text ({})", where_,
                              message_of(rc)));
    const size_t* bounds = pcre2_get_ovector_pointer(with.data.get());
    const size_t begin = bounds[0], end = bounds[1];
    // No empty match right behind the last match.
    if (begin == end && last_match == end) {
      from += from < text.size() ? utf8_length(text[from]) : 1;
      continue;
    }
    from = last_match = end;
    if (begin > previous) take({previous, begin, false});
    take({begin, end, true});
    previous = end;
  }
  if (previous != text.size()) take({previous, text.size(), false});
}

}  // namespace nuri
