#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/parser_level.h"

namespace nuri::jinja {

void Parser::measure(Expr& expr) const {
  auto count = [&](const ExprPtr& child) {
    if (child) expr.depth = std::max(expr.depth, child->depth + 1);
  };
  for (const ExprPtr& child : expr.children) count(child);
  if (expr.arguments) {
    for (const ExprPtr& child : expr.arguments->positional) count(child);
    for (const auto& [name, child] : expr.arguments->keywords) count(child);
    count(expr.arguments->star);
    count(expr.arguments->double_star);
  }
  if (expr.depth > kMaxExprDepth) {
    throw SyntaxFailure{expr.line, fmt::format("an expression nested more than {} levels deep", kMaxExprDepth)};
  }
}

ExprPtr Parser::node(ExprKind kind, int line, std::vector<ExprPtr> children, std::string text) {
  auto expr = std::make_unique<Expr>(kind, line);
  expr->children = std::move(children);
  expr->text = std::move(text);
  measure(*expr);
  return expr;
}

namespace {

template <class... Children>
std::vector<ExprPtr> children_of(Children... children) {
  std::vector<ExprPtr> out;
  (out.push_back(std::move(children)), ...);
  return out;
}

}  // namespace

bool Parser::tuple_ends(std::string_view end_name) const {
  const Token& token = current();
  return token.kind == TokenKind::variable_end || token.kind == TokenKind::block_end || token.is_sign(")") ||
         (!end_name.empty() && token.is_name(end_name));
}

ExprPtr Parser::parse_tuple(bool with_condition, std::string_view end_name, bool parenthesised) {
  int line = current().line;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) expect_sign(",");
    if (tuple_ends(end_name)) break;
    items.push_back(parse_expression(with_condition));
    if (!current().is_sign(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return std::move(items[0]);
    if (!parenthesised) unexpected("an expression");
  }
  return node(ExprKind::tuple, line, std::move(items));
}

ExprPtr Parser::parse_expression(bool with_condition) {
  Level level(*this);
  return with_condition ? parse_condition() : parse_or();
}

ExprPtr Parser::parse_condition() {
  int line = current().line;
  ExprPtr then = parse_or();
  while (skip_name("if")) {
    ExprPtr test = parse_or();
    ExprPtr otherwise;
    if (skip_name("else")) {
      Level level(*this);
      otherwise = parse_condition();
    }
    then = node(ExprKind::condition, line, children_of(std::move(test), std::move(then), std::move(otherwise)));
  }
  return then;
}

ExprPtr Parser::parse_or() {
  ExprPtr left = parse_and();
  while (current().is_name("or")) {
    int line = take().line;
    ExprPtr right = parse_and();
    left = node(ExprKind::logical_or, line, children_of(std::move(left), std::move(right)));
  }
  return left;
}

ExprPtr Parser::parse_and() {
  ExprPtr left = parse_not();
  while (current().is_name("and")) {
    int line = take().line;
    ExprPtr right = parse_not();
    left = node(ExprKind::logical_and, line, children_of(std::move(left), std::move(right)));
  }
  return left;
}

ExprPtr Parser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  Level level(*this);
  int line = take().line;
  return node(ExprKind::logical_not, line, children_of(parse_not()));
}

ExprPtr Parser::parse_compare() {
  static constexpr std::string_view kSigns[] = {"==", "!=", "<", "<=", ">", ">="};
  int line = current().line;
  std::vector<ExprPtr> operands = children_of(parse_sum());
  std::vector<std::string> operators;
  while (true) {
    if (std::any_of(std::begin(kSigns), std::end(kSigns), [&](auto sign) { return current().is_sign(sign); })) {
      operators.push_back(take().text);
    } else if (skip_name("in")) {
      operators.emplace_back("in");
    } else if (current().is_name("not") && ahead().is_name("in")) {
      take();
      take();
      operators.emplace_back("not in");
    } else {
      break;
    }
    operands.push_back(parse_sum());
  }
  if (operators.empty()) return std::move(operands[0]);
  ExprPtr expr = node(ExprKind::compare, line, std::move(operands));
  expr->operators = std::move(operators);
  return expr;
}

ExprPtr Parser::parse_binary(ExprPtr (Parser::*next)(), std::initializer_list<std::string_view> signs) {
  ExprPtr left = (this->*next)();
  while (std::any_of(signs.begin(), signs.end(), [&](std::string_view sign) { return current().is_sign(sign); })) {
    Token sign = take();
    ExprPtr right = (this->*next)();
    left = node(ExprKind::binary, sign.line, children_of(std::move(left), std::move(right)), std::move(sign.text));
  }
  return left;
}

ExprPtr Parser::parse_sum() { return parse_binary(&Parser::parse_concat, {"+", "-"}); }

ExprPtr Parser::parse_concat() {
  int line = current().line;
  std::vector<ExprPtr> parts = children_of(parse_product());
  while (skip_sign("~")) parts.push_back(parse_product());
  return parts.size() == 1 ? std::move(parts[0]) : node(ExprKind::concat, line, std::move(parts));
}

ExprPtr Parser::parse_product() { return parse_binary(&Parser::parse_power, {"*", "/", "//", "%"}); }

ExprPtr Parser::parse_power() {
  ExprPtr left = parse_unary();
  while (current().is_sign("**")) {
    int line = take().line;
    ExprPtr right = parse_unary();
    left = node(ExprKind::binary, line, children_of(std::move(left), std::move(right)), "**");
  }
  return left;
}

ExprPtr Parser::parse_unary(bool with_filter) {
  int line = current().line;
  ExprPtr expr;
  if (current().is_sign("-") || current().is_sign("+")) {
    Level level(*this);
    ExprKind kind = take().text == "-" ? ExprKind::negate : ExprKind::plus;
    expr = node(kind, line, children_of(parse_unary(false)));
  } else {
    expr = parse_primary();
  }
  expr = parse_postfix(std::move(expr));
  return with_filter ? parse_filters(std::move(expr)) : std::move(expr);
}

ExprPtr Parser::parse_name(bool with_namespace) {
  Token token = take();
  const std::string& name = token.text;
  ExprPtr expr = node(ExprKind::constant, token.line);
  if (name == "true" || name == "false" || name == "True" || name == "False") {
    expr->value = Value::boolean(name == "true" || name == "True");
  } else if (name == "none" || name == "None") {
    expr->value = Value::none();
  } else if (with_namespace && skip_sign(".")) {
    expr->kind = ExprKind::namespace_target;
    expr->text = name;
    expr->operators.push_back(expect_any_name());
  } else {
    expr->kind = ExprKind::name;
    expr->text = name;
  }
  return expr;
}

ExprPtr Parser::parse_primary(bool with_namespace) {
  const Token& token = current();
  int line = token.line;
  switch (token.kind) {
    case TokenKind::name:
      return parse_name(with_namespace);
    case TokenKind::string: {
      std::string text;
      while (current().kind == TokenKind::string) text += take().text;
      ExprPtr expr = node(ExprKind::constant, line);
      expr->value = Value::string(std::move(text));
      return expr;
    }
    case TokenKind::integer:
    case TokenKind::real: {
      ExprPtr expr = node(ExprKind::constant, line);
      expr->value = token.kind == TokenKind::integer ? Value::integer(token.integer) : Value::real(token.real);
      take();
      return expr;
    }
    default:
      break;
  }
  if (skip_sign("(")) {
    ExprPtr expr = parse_tuple(true, {}, true);
    expect_sign(")");
    return expr;
  }
  if (token.is_sign("[")) return parse_list();
  if (token.is_sign("{")) return parse_dict();
  unexpected("an expression");
}

ExprPtr Parser::parse_list() {
  int line = take().line;
  std::vector<ExprPtr> items;
  while (!current().is_sign("]")) {
    if (!items.empty()) expect_sign(",");
    if (current().is_sign("]")) break;
    items.push_back(parse_expression());
  }
  take();
  return node(ExprKind::list, line, std::move(items));
}

ExprPtr Parser::parse_dict() {
  int line = take().line;
  std::vector<ExprPtr> items;
  while (!current().is_sign("}")) {
    if (!items.empty()) expect_sign(",");
    if (current().is_sign("}")) break;
    items.push_back(parse_expression());
    expect_sign(":");
    items.push_back(parse_expression());
  }
  take();
  return node(ExprKind::dict, line, std::move(items));
}

ExprPtr Parser::parse_postfix(ExprPtr expr) {
  while (true) {
    if (current().is_sign(".") || current().is_sign("[")) {
      expr = parse_subscript(std::move(expr));
    } else if (current().is_sign("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr Parser::parse_filters(ExprPtr expr) {
  while (true) {
    if (current().is_sign("|")) {
      expr = parse_filter(std::move(expr));
    } else if (current().is_name("is")) {
      expr = parse_test(std::move(expr));
    } else if (current().is_sign("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

std::string Parser::parse_dotted_name() {
  std::string name = expect_any_name();
  while (skip_sign(".")) {
    name += '.';
    name += expect_any_name();
  }
  return name;
}

ExprPtr Parser::parse_filter(ExprPtr expr) {
  while (skip_sign("|")) {
    int line = current().line;
    std::string name = parse_dotted_name();
    auto arguments = current().is_sign("(") ? parse_arguments() : std::make_unique<Arguments>();
    expr = node(ExprKind::filter, line, children_of(std::move(expr)), std::move(name));
    expr->arguments = std::move(arguments);
    measure(*expr);
  }
  return expr;
}

ExprPtr Parser::parse_test(ExprPtr expr) {
  int line = take().line;
  bool negated = skip_name("not");
  std::string name = parse_dotted_name();
  auto arguments = std::make_unique<Arguments>();
  const Token& token = current();
  bool starts_value = token.kind == TokenKind::name || token.kind == TokenKind::string ||
                      token.kind == TokenKind::integer || token.kind == TokenKind::real || token.is_sign("[") ||
                      token.is_sign("{");
  if (token.is_sign("(")) {
    arguments = parse_arguments();
  } else if (starts_value && !token.is_name("else") && !token.is_name("or") && !token.is_name("and")) {
    if (token.is_name("is")) syntax_error("tests cannot be chained with 'is'");
    ExprPtr argument = parse_primary();
    arguments->positional.push_back(parse_postfix(std::move(argument)));
  }
  expr = node(ExprKind::test, line, children_of(std::move(expr)), std::move(name));
  expr->arguments = std::move(arguments);
  measure(*expr);
  return negated ? node(ExprKind::logical_not, line, children_of(std::move(expr))) : std::move(expr);
}

ExprPtr Parser::parse_subscript(ExprPtr expr) {
  Token token = take();
  if (token.text == ".") {
    Token name = take();
    if (name.kind == TokenKind::name) {
      return node(ExprKind::attribute, token.line, children_of(std::move(expr)), std::move(name.text));
    }
    if (name.kind != TokenKind::integer) syntax_error("expected a name or number after '.'");
    ExprPtr index = node(ExprKind::constant, name.line);
    index->value = Value::integer(name.integer);
    return node(ExprKind::item, token.line, children_of(std::move(expr), std::move(index)));
  }
  std::vector<ExprPtr> indices;
  while (!current().is_sign("]")) {
    if (!indices.empty()) expect_sign(",");
    indices.push_back(parse_subscribed());
  }
  take();
  ExprPtr index;
  if (indices.size() == 1) {
    index = std::move(indices[0]);
  } else {
    for (const ExprPtr& each : indices) {
      if (each->kind == ExprKind::slice) syntax_error("a slice cannot stand beside other indices");
    }
    index = node(ExprKind::tuple, token.line, std::move(indices));
  }
  return node(ExprKind::item, token.line, children_of(std::move(expr), std::move(index)));
}

ExprPtr Parser::parse_subscribed() {
  int line = current().line;
  std::vector<ExprPtr> parts(3);
  if (!current().is_sign(":")) {
    ExprPtr first = parse_expression();
    if (!current().is_sign(":")) return first;
    parts[0] = std::move(first);
  }
  take();
  auto part_follows = [&] { return !current().is_sign("]") && !current().is_sign(","); };
  if (!current().is_sign(":") && part_follows()) parts[1] = parse_expression();
  if (skip_sign(":") && part_follows()) parts[2] = parse_expression();
  return node(ExprKind::slice, line, std::move(parts));
}

ExprPtr Parser::parse_call(ExprPtr expr) {
  int line = current().line;
  auto arguments = parse_arguments();
  expr = node(ExprKind::call, line, children_of(std::move(expr)));
  expr->arguments = std::move(arguments);
  measure(*expr);
  return expr;
}

std::unique_ptr<Arguments> Parser::parse_arguments() {
  auto arguments = std::make_unique<Arguments>();
  auto ensure = [&](bool fine) {
    if (!fine) syntax_error("invalid order of arguments in a call");
  };
  expect_sign("(");
  for (bool first = true; !current().is_sign(")"); first = false) {
    if (!first) {
      expect_sign(",");
      if (current().is_sign(")")) break;
    }
    bool no_dynamic = !arguments->star && !arguments->double_star;
    if (skip_sign("*")) {
      ensure(no_dynamic);
      arguments->star = parse_expression();
    } else if (skip_sign("**")) {
      ensure(!arguments->double_star);
      arguments->double_star = parse_expression();
    } else if (current().kind == TokenKind::name && ahead().is_sign("=")) {
      ensure(!arguments->double_star);
      std::string name = take().text;
      take();
      arguments->keywords.emplace_back(std::move(name), parse_expression());
    } else {
      ensure(no_dynamic && arguments->keywords.empty());
      arguments->positional.push_back(parse_expression());
    }
  }
  take();
  return arguments;
}

}  // namespace nuri::jinja
