#include <fmt/format.h>

#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"

namespace nuri::jinja {

Value Interpreter::evaluate(const Expr& expr, Scope* scope) {
  Runtime::Level level(runtime_);
  runtime_.charge(1);
  line_ = expr.line;
  switch (expr.kind) {
    case ExprKind::constant:
      return expr.value;
    case ExprKind::name:
      return evaluate_name(expr, scope);
    case ExprKind::tuple:
    case ExprKind::list:
      return evaluate_sequence(expr, scope);
    case ExprKind::dict:
      return evaluate_dict(expr, scope);
    case ExprKind::logical_not:
      return Value::boolean(!truthy(*this, evaluate(*expr.children[0], scope)));
    case ExprKind::logical_and: {
      Value left = evaluate(*expr.children[0], scope);
      return truthy(*this, left) ? evaluate(*expr.children[1], scope) : left;
    }
    case ExprKind::logical_or: {
      Value left = evaluate(*expr.children[0], scope);
      return truthy(*this, left) ? left : evaluate(*expr.children[1], scope);
    }
    case ExprKind::condition:
      return evaluate_condition(expr, scope);
    case ExprKind::negate:
      return negate(evaluate(*expr.children[0], scope));
    case ExprKind::plus:
      return plus(evaluate(*expr.children[0], scope));
    case ExprKind::binary:
      return evaluate_binary(expr, scope);
    case ExprKind::concat:
      return evaluate_concat(expr, scope);
    case ExprKind::compare:
      return evaluate_compare(expr, scope);
    case ExprKind::attribute:
      return attribute(evaluate(*expr.children[0], scope), expr.text);
    case ExprKind::item:
      return evaluate_item(expr, scope);
    case ExprKind::call:
      return evaluate_call(expr, scope, nullptr);
    case ExprKind::filter:
      return evaluate_filter(expr, scope, nullptr);
    case ExprKind::test:
      return evaluate_test(expr, scope);
    case ExprKind::namespace_target:
    case ExprKind::slice:
      break;
  }
  fail(ErrorKind::internal, "an expression that has no value");
}

Value Interpreter::evaluate_name(const Expr& expr, Scope* scope) {
  const Value& value = variable(expr.place, scope);
  return value.is(Kind::missing) ? Value::undefined(fmt::format("'{}' is undefined", expr.text)) : value;
}

Value Interpreter::evaluate_sequence(const Expr& expr, Scope* scope) {
  std::vector<Value> items;
  items.reserve(expr.children.size());
  for (const ExprPtr& child : expr.children) items.push_back(evaluate(*child, scope));
  return expr.kind == ExprKind::list ? make_list(runtime_, std::move(items)) : make_tuple(runtime_, std::move(items));
}

Value Interpreter::evaluate_dict(const Expr& expr, Scope* scope) {
  Value out;
  Dict& dict = make_dict(runtime_, out);
  for (size_t i = 0; i < expr.children.size(); i += 2) {
    Value key = evaluate(*expr.children[i], scope);
    dict.set(runtime_, std::move(key), evaluate(*expr.children[i + 1], scope));
  }
  return out;
}

Value Interpreter::evaluate_condition(const Expr& expr, Scope* scope) {
  if (truthy(*this, evaluate(*expr.children[0], scope))) return evaluate(*expr.children[1], scope);
  if (expr.children[2]) return evaluate(*expr.children[2], scope);
  return Value::undefined("the inline if-expression is false and has no else");
}

Value Interpreter::evaluate_binary(const Expr& expr, Scope* scope) {
  Value left = evaluate(*expr.children[0], scope);
  Value right = evaluate(*expr.children[1], scope);
  line_ = expr.line;
  return binary(*this, expr.text, left, right);
}

Value Interpreter::evaluate_concat(const Expr& expr, Scope* scope) {
  std::string text;
  for (const ExprPtr& child : expr.children) append(text, str(evaluate(*child, scope)));
  return make_string(runtime_, std::move(text));
}

Value Interpreter::evaluate_compare(const Expr& expr, Scope* scope) {
  Value left = evaluate(*expr.children[0], scope);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = evaluate(*expr.children[i + 1], scope);
    line_ = expr.line;
    if (!compare(*this, expr.operators[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::evaluate_item(const Expr& expr, Scope* scope) {
  Value object = evaluate(*expr.children[0], scope);
  const Expr& index = *expr.children[1];
  if (index.kind != ExprKind::slice) return item(object, evaluate(index, scope));
  Value parts[3] = {Value::none(), Value::none(), Value::none()};
  for (size_t i = 0; i < 3; ++i) {
    if (index.children[i]) parts[i] = evaluate(*index.children[i], scope);
  }
  return slice(object, parts[0], parts[1], parts[2]);
}

CallArguments Interpreter::evaluate_arguments(const Arguments& arguments, Scope* scope) {
  CallArguments out;
  for (const ExprPtr& each : arguments.positional) out.positional.push_back(evaluate(*each, scope));
  if (arguments.star) {
    for (Value& each : collect(evaluate(*arguments.star, scope))) out.positional.push_back(std::move(each));
  }
  auto add = [&](const std::string& name, Value value) {
    for (const auto& [known, other] : out.keywords) {
      if (known == name) fail(fmt::format("keyword argument '{}' is given twice", name));
    }
    runtime_.charge_items(out.keywords.size());
    out.keywords.emplace_back(name, std::move(value));
  };
  for (const auto& [name, each] : arguments.keywords) add(name, evaluate(*each, scope));
  if (arguments.double_star) {
    Value mapping = evaluate(*arguments.double_star, scope);
    if (!mapping.is(Kind::dict)) fail(fmt::format("** needs a mapping, found '{}'", type_name(mapping)));
    for (const auto& [key, value] : mapping.as<Dict>().entries()) {
      if (!key.is(Kind::string)) fail("the names of keyword arguments must be strings");
      add(key.text(), value);
    }
  }
  return out;
}

Value Interpreter::evaluate_call(const Expr& expr, Scope* scope, const Value* caller) {
  Value function = evaluate(*expr.children[0], scope);
  CallArguments arguments = evaluate_arguments(*expr.arguments, scope);
  if (caller) arguments.keywords.emplace_back("caller", *caller);
  line_ = expr.line;
  return call(function, arguments);
}

Value Interpreter::evaluate_filter(const Expr& expr, Scope* scope, const Value* block) {
  // In `{% set x | a | b %}` the innermost filter of the chain takes the block's text.
  Runtime::Level level(runtime_);
  Value input = expr.children[0]
                    ? (block ? evaluate_filter(*expr.children[0], scope, block) : evaluate(*expr.children[0], scope))
                    : *block;
  CallArguments arguments = evaluate_arguments(*expr.arguments, scope);
  line_ = expr.line;
  if (!expr.filter) fail(fmt::format("no filter named '{}'", expr.text));
  return expr.filter->apply(*this, input, arguments);
}

Value Interpreter::evaluate_test(const Expr& expr, Scope* scope) {
  Value input = evaluate(*expr.children[0], scope);
  CallArguments arguments = evaluate_arguments(*expr.arguments, scope);
  line_ = expr.line;
  if (!expr.test) fail(fmt::format("no test named '{}'", expr.text));
  return Value::boolean(expr.test->holds(*this, input, arguments));
}

Value Interpreter::call(const Value& function, const CallArguments& arguments) {
  if (function.is(Kind::undefined)) fail(function.text());
  if (!function.is(Kind::callable)) fail(fmt::format("'{}' object is not callable", type_name(function)));
  Runtime::Level level(runtime_);
  return function.as<Callable>().call(*this, arguments);
}

}  // namespace nuri::jinja
