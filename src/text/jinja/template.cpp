#include "text/jinja/template.h"

#include <fmt/format.h>

#include "text/jinja/codepoints.h"
#include "text/jinja/lexer.h"
#include "text/jinja/parser.h"
#include "text/jinja/scopes.h"

namespace nuri::jinja {
namespace {

constexpr size_t kMaxSource = 4u << 20;

// Messages are one line, whatever a template's own text holds.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  constexpr size_t kLongest = 1000;
  return text.size() > kLongest ? text.substr(0, byte_offset(text, kLongest / 4)) + "..." : text;
}

}  // namespace

Template::Template(const std::string& source, std::string name)
    : name_(std::move(name)), tree_(std::make_unique<TemplateTree>()) {
  if (source.size() > kMaxSource) {
    throw Error(ErrorKind::resource,
                fmt::format("{}: a template of {} bytes, at most {} are allowed", name_, source.size(), kMaxSource));
  }
  if (!valid_utf8(source)) throw Error(ErrorKind::format, fmt::format("{}: the template is not UTF-8", name_));
  try {
    tree_->body = Parser(tokenize(source)).parse();
    resolve_names(*tree_);
  } catch (const SyntaxFailure& failure) {
    throw Error(ErrorKind::format, fmt::format("{}:{}: {}", name_, failure.line, one_line(failure.message)));
  }
}

std::string Template::render(const Json& variables, const Limits& limits, const Interpreter::Clock& clock) const {
  Interpreter interpreter(*tree_, limits, clock);
  try {
    return interpreter.run(variables);
  } catch (const Failure& failure) {
    throw Error(failure.kind, fmt::format("{}:{}: {}", name_, interpreter.line(), one_line(failure.message)));
  }
}

}  // namespace nuri::jinja
