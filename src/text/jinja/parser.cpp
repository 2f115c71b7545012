#include "text/jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/parser_level.h"

// Tokens and statements; expressions are in parser_expressions.cpp.
namespace nuri::jinja {

void Parser::syntax_error(const std::string& message) const { throw SyntaxFailure{current().line, message}; }

void Parser::unexpected(std::string_view expected) const {
  const Token& token = current();
  std::string found;
  switch (token.kind) {
    case TokenKind::end:
      found = "the end of the template";
      break;
    case TokenKind::variable_end:
      found = "'}}'";
      break;
    case TokenKind::block_end:
      found = "'%}'";
      break;
    case TokenKind::integer:
    case TokenKind::real:
      found = "a number";
      break;
    case TokenKind::string:
      found = "a string";
      break;
    default:
      found = fmt::format("'{}'", token.text);
  }
  syntax_error(fmt::format("found {}, expected {}", found, expected));
}

Token Parser::take() {
  Token token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::skip_sign(std::string_view sign) {
  if (!current().is_sign(sign)) return false;
  take();
  return true;
}

bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  take();
  return true;
}

void Parser::expect_sign(std::string_view sign) {
  if (!skip_sign(sign)) unexpected(fmt::format("'{}'", sign));
}

void Parser::expect_name(std::string_view name) {
  if (!skip_name(name)) unexpected(fmt::format("'{}'", name));
}

std::string Parser::expect_any_name() {
  if (current().kind != TokenKind::name) unexpected("a name");
  return take().text;
}

void Parser::expect(TokenKind kind, std::string_view what) {
  if (current().kind != kind) unexpected(what);
  take();
}

Body Parser::parse() {
  Body body = parse_body({});
  if (current().kind != TokenKind::end) unexpected("the end of the template");
  return body;
}

// Statements up to a tag named by `ends`, whose name is then the current token; or to the end of the template.
Body Parser::parse_body(const std::vector<std::string_view>& ends) {
  Level level(*this);
  Body body;
  auto output = [&](ExprPtr expr) {
    if (body.empty() || body.back()->kind != StmtKind::output) {
      body.push_back(std::make_unique<Stmt>(StmtKind::output, expr->line));
    }
    body.back()->exprs.push_back(std::move(expr));
  };
  while (current().kind != TokenKind::end) {
    Token token = take();
    if (token.kind == TokenKind::data) {
      ExprPtr text = node(ExprKind::constant, token.line);
      text->value = Value::string(std::move(token.text));
      output(std::move(text));
    } else if (token.kind == TokenKind::variable_begin) {
      output(parse_tuple(true));
      expect(TokenKind::variable_end, "'}}'");
    } else {
      if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return current().is_name(end); })) {
        return body;
      }
      body.push_back(parse_statement());
      expect(TokenKind::block_end, "'%}'");
    }
  }
  return body;
}

// The end of a tag, and what follows it up to a tag named by `ends`.
Body Parser::parse_block(const std::vector<std::string_view>& ends) {
  skip_sign(":");
  expect(TokenKind::block_end, "'%}'");
  Body body = parse_body(ends);
  if (current().kind == TokenKind::end) unexpected(fmt::format("'{{% {} %}}'", fmt::join(ends, " %}' or '{% ")));
  return body;
}

void Parser::finish_block(std::string_view end, Body& body) {
  body = parse_block({end});
  take();
}

StmtPtr Parser::parse_statement() {
  const Token& token = current();
  if (token.kind != TokenKind::name) unexpected("the name of a tag");
  const std::string& tag = token.text;
  if (tag == "if") return parse_if();
  if (tag == "for") return parse_for();
  if (tag == "set") return parse_set();
  if (tag == "macro") return parse_macro();
  if (tag == "call") return parse_call_block();
  if (tag == "generation") return parse_generation();
  if (tag == "filter") return parse_filter_block();
  if (tag == "with") return parse_with();
  if (tag == "print") return parse_print();
  if (tag == "break" || tag == "continue") {
    auto stmt = std::make_unique<Stmt>(tag == "break" ? StmtKind::break_loop : StmtKind::continue_loop, token.line);
    take();
    return stmt;
  }
  syntax_error(
      fmt::format("tag '{}' is not one of if, for, set, macro, call, filter, with, print, break, continue, "
                  "generation, raw, or does not belong here",
                  tag));
}

StmtPtr Parser::parse_if() {
  auto stmt = std::make_unique<Stmt>(StmtKind::condition, take().line);
  while (true) {
    Branch branch;
    branch.test = parse_tuple(false);
    branch.body = parse_block({"elif", "else", "endif"});
    stmt->branches.push_back(std::move(branch));
    Token end = take();
    if (end.text == "elif") continue;
    if (end.text == "else") finish_block("endif", stmt->else_body);
    return stmt;
  }
}

StmtPtr Parser::parse_for() {
  auto stmt = std::make_unique<Stmt>(StmtKind::loop, take().line);
  ++loops_;
  stmt->targets.push_back(parse_target(false, "in"));
  expect_name("in");
  stmt->exprs.push_back(parse_tuple(false, "recursive"));
  if (skip_name("if")) stmt->test = parse_expression();
  stmt->recursive = skip_name("recursive");
  stmt->body = parse_block({"endfor", "else"});
  if (take().text == "else") finish_block("endfor", stmt->else_body);
  --loops_;
  return stmt;
}

StmtPtr Parser::parse_set() {
  int line = take().line;
  ExprPtr target = parse_target(true);
  auto stmt = std::make_unique<Stmt>(StmtKind::set, line);
  if (skip_sign("=")) {
    stmt->exprs.push_back(parse_tuple(true));
  } else {
    stmt->kind = StmtKind::set_block;
    stmt->exprs.push_back(parse_filter(nullptr));
    finish_block("endset", stmt->body);
  }
  stmt->targets.push_back(std::move(target));
  return stmt;
}

void Parser::parse_signature(MacroPlan& macro) {
  expect_sign("(");
  while (!current().is_sign(")")) {
    if (!macro.parameters.empty()) expect_sign(",");
    int line = current().line;
    macro.parameters.push_back(node(ExprKind::name, line, {}, expect_any_name()));
    require_assignable(*macro.parameters.back());
    if (skip_sign("=")) {
      macro.defaults.push_back(parse_expression());
    } else if (!macro.defaults.empty()) {
      syntax_error("a parameter without a default follows one with a default");
    }
  }
  expect_sign(")");
}

StmtPtr Parser::parse_macro() {
  auto stmt = std::make_unique<Stmt>(StmtKind::macro, take().line);
  stmt->macro = std::make_unique<MacroPlan>();
  stmt->macro->name = expect_any_name();
  stmt->targets.push_back(node(ExprKind::name, stmt->line, {}, stmt->macro->name));
  require_assignable(*stmt->targets.back());
  parse_signature(*stmt->macro);
  finish_block("endmacro", stmt->macro->body);
  return stmt;
}

StmtPtr Parser::parse_call_block() {
  auto stmt = std::make_unique<Stmt>(StmtKind::call_block, take().line);
  stmt->macro = std::make_unique<MacroPlan>();
  if (current().is_sign("(")) parse_signature(*stmt->macro);
  stmt->exprs.push_back(parse_expression());
  if (stmt->exprs[0]->kind != ExprKind::call) syntax_error("a call block needs a call");
  finish_block("endcall", stmt->macro->body);
  return stmt;
}

// {% generation %} marks what the assistant said, for the masks of training; it prints its body.
StmtPtr Parser::parse_generation() {
  auto stmt = std::make_unique<Stmt>(StmtKind::call_block, take().line);
  stmt->macro = std::make_unique<MacroPlan>();
  finish_block("endgeneration", stmt->macro->body);
  return stmt;
}

StmtPtr Parser::parse_filter_block() {
  auto stmt = std::make_unique<Stmt>(StmtKind::filter_block, take().line);
  if (current().kind != TokenKind::name) unexpected("the name of a filter");
  tokens_[--at_] = Token{TokenKind::sign, stmt->line, "|"};  // the tag's name was there
  stmt->exprs.push_back(parse_filter(nullptr));
  finish_block("endfilter", stmt->body);
  return stmt;
}

StmtPtr Parser::parse_with() {
  auto stmt = std::make_unique<Stmt>(StmtKind::with, take().line);
  while (current().kind != TokenKind::block_end) {
    if (!stmt->targets.empty()) expect_sign(",");
    stmt->targets.push_back(parse_target(false));
    expect_sign("=");
    stmt->exprs.push_back(parse_expression());
  }
  finish_block("endwith", stmt->body);
  return stmt;
}

StmtPtr Parser::parse_print() {
  auto stmt = std::make_unique<Stmt>(StmtKind::output, take().line);
  while (current().kind != TokenKind::block_end) {
    if (!stmt->exprs.empty()) expect_sign(",");
    stmt->exprs.push_back(parse_expression());
  }
  return stmt;
}

void Parser::require_assignable(const Expr& target) const {
  static constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
  auto refuse = [&](std::string_view why) { throw SyntaxFailure{target.line, std::string(why)}; };
  if (target.kind == ExprKind::tuple) {
    for (const ExprPtr& item : target.children) require_assignable(*item);
  } else if (target.kind == ExprKind::name) {
    if (std::find(std::begin(kConstants), std::end(kConstants), target.text) != std::end(kConstants)) {
      refuse("cannot assign to a constant");
    }
  } else if (target.kind != ExprKind::namespace_target) {
    refuse("cannot assign here: expected a name, names with commas, or namespace.name");
  }
}

bool Parser::names_loop(const Expr& target) {
  return (target.kind == ExprKind::name && target.text == "loop") ||
         std::any_of(target.children.begin(), target.children.end(),
                     [](const ExprPtr& item) { return names_loop(*item); });
}

ExprPtr Parser::parse_target(bool with_namespace, std::string_view end_name) {
  int line = current().line;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) expect_sign(",");
    if (tuple_ends(end_name)) break;
    items.push_back(parse_primary(with_namespace));
    if (!current().is_sign(",")) break;
    is_tuple = true;
  }
  if (items.empty()) unexpected("a name to assign to");
  ExprPtr target = is_tuple ? node(ExprKind::tuple, line, std::move(items)) : std::move(items[0]);
  require_assignable(*target);
  if (loops_ > 0 && names_loop(*target)) throw SyntaxFailure{line, "cannot assign to 'loop' in a loop"};
  return target;
}

}  // namespace nuri::jinja
