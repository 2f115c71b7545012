#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace nuri::jinja {

// Parses tokens by the grammar of Jinja 3.1 with the extensions that transformers adds: break and continue,
// and generation blocks. Nesting is bounded. Throws SyntaxFailure.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  Body parse();

 private:
  // Counts a level of recursion for as long as it lives.
  class Level;
  static constexpr int kMaxDepth = 150;      // of nested statements and brackets
  static constexpr int kMaxExprDepth = 300;  // of the tree of one expression

  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take();
  bool skip_sign(std::string_view sign);
  bool skip_name(std::string_view name);
  void expect_sign(std::string_view sign);
  void expect_name(std::string_view name);
  std::string expect_any_name();
  void expect(TokenKind kind, std::string_view what);
  [[noreturn]] void unexpected(std::string_view expected) const;
  [[noreturn]] void syntax_error(const std::string& message) const;
  ExprPtr node(ExprKind kind, int line, std::vector<ExprPtr> children = {}, std::string text = {});
  void measure(Expr& expr) const;

  // statements
  Body parse_body(const std::vector<std::string_view>& ends);
  StmtPtr parse_statement();
  Body parse_block(const std::vector<std::string_view>& ends);
  void finish_block(std::string_view end, Body& body);
  StmtPtr parse_if();
  StmtPtr parse_for();
  StmtPtr parse_set();
  StmtPtr parse_macro();
  StmtPtr parse_call_block();
  StmtPtr parse_generation();
  StmtPtr parse_filter_block();
  StmtPtr parse_with();
  StmtPtr parse_print();
  void parse_signature(MacroPlan& macro);
  ExprPtr parse_target(bool with_namespace, std::string_view end_name = {});
  void require_assignable(const Expr& target) const;
  static bool names_loop(const Expr& target);

  // expressions, loosest first
  ExprPtr parse_tuple(bool with_condition, std::string_view end_name = {}, bool parenthesised = false);
  bool tuple_ends(std::string_view end_name) const;
  ExprPtr parse_expression(bool with_condition = true);
  ExprPtr parse_condition();
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filter = true);
  ExprPtr parse_primary(bool with_namespace = false);
  ExprPtr parse_name(bool with_namespace);
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr expr);
  ExprPtr parse_filters(ExprPtr expr);
  ExprPtr parse_filter(ExprPtr expr);
  ExprPtr parse_test(ExprPtr expr);
  ExprPtr parse_subscript(ExprPtr expr);
  ExprPtr parse_subscribed();
  ExprPtr parse_call(ExprPtr expr);
  std::unique_ptr<Arguments> parse_arguments();
  std::string parse_dotted_name();
  ExprPtr parse_binary(ExprPtr (Parser::*next)(), std::initializer_list<std::string_view> signs);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;  // open around the current token
};

}  // namespace nuri::jinja
