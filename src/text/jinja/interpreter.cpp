#include "text/jinja/interpreter.h"

#include <fmt/format.h>

#include "text/jinja/library.h"
#include "text/jinja/loop_state.h"

// Statements; expressions are in interpreter_expressions.cpp.
namespace nuri::jinja {
namespace {

class Macro : public Callable {
 public:
  const MacroPlan* plan = nullptr;
  Scope* scope = nullptr;

  Value call(Interpreter& interpreter, const CallArguments& arguments) override {
    return Value::string(interpreter.call_macro(*plan, scope, arguments));
  }

  Value attribute(Interpreter& interpreter, std::string_view name) override {
    if (name == "name") return plan->name.empty() ? Value::none() : Value::string(plan->name);
    if (name == "catch_kwargs") return Value::boolean(plan->kwargs_slot >= 0);
    if (name == "catch_varargs") return Value::boolean(plan->varargs_slot >= 0);
    if (name == "caller") return Value::boolean(plan->accesses_caller);
    if (name != "arguments") return {};
    std::vector<Value> names;
    for (const ExprPtr& parameter : plan->parameters) names.push_back(Value::string(parameter->text));
    return make_tuple(interpreter.runtime(), std::move(names));
  }

  std::string repr() const override {
    return plan->name.empty() ? "<Macro anonymous>" : fmt::format("<Macro {}>", text_repr(plan->name));
  }
};

Value make_macro(Runtime& runtime, const MacroPlan& plan, Scope* scope) {
  Macro* macro = runtime.make<Macro>();
  macro->plan = &plan;
  macro->scope = scope;
  return Value::object(Kind::callable, macro);
}

}  // namespace

Interpreter::Interpreter(const TemplateTree& tree, const Limits& limits, Clock clock)
    : tree_(tree), runtime_(limits), clock_(std::move(clock)) {}

std::string Interpreter::run(const Json& variables) {
  context_ = runtime_.make<Dict>();
  for (auto& [name, value] : variables.items()) {
    context_->set(runtime_, Value::string(name), from_json(runtime_, value));
  }
  std::string out;
  execute(tree_.body, &enter(tree_.scope, nullptr), out);
  return out;
}

// ---- scopes

void Interpreter::load(const ScopePlan& plan, Scope& scope) {
  runtime_.charge_items(plan.loads.size());
  for (size_t i = 0; i < plan.loads.size(); ++i) {
    const Load& load = plan.loads[i];
    switch (load.from) {
      case Load::parameter:
        break;
      case Load::unset:
        scope.slots[i] = Value();
        break;
      case Load::outer:
        scope.slots[i] = variable(load.outer_place, &scope);
        break;
      case Load::context: {
        const Value* given = context_->find(load.name);
        scope.slots[i] = given ? *given : find_global(runtime_, load.name);
        break;
      }
    }
  }
}

Scope& Interpreter::enter(const ScopePlan& plan, Scope* outer) {
  Scope& scope = *runtime_.make<Scope>();
  scope.outer = outer;
  scope.slots.resize(plan.loads.size());
  load(plan, scope);
  return scope;
}

Value& Interpreter::variable(const Place& place, Scope* scope) {
  for (int i = 0; i < place.hops; ++i) scope = scope->outer;
  return scope->slots[static_cast<size_t>(place.slot)];
}

void Interpreter::append(std::string& out, std::string_view text) {
  runtime_.charge_text(out.size() + text.size() > runtime_.limits().output_bytes ? out.size() + text.size()
                                                                                 : text.size());
  out += text;
}

// ---- statements

Interpreter::Flow Interpreter::execute(const Body& body, Scope* scope, std::string& out) {
  for (const StmtPtr& stmt : body) {
    if (Flow flow = execute(*stmt, scope, out); flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute(const Stmt& stmt, Scope* scope, std::string& out) {
  Runtime::Level level(runtime_);
  runtime_.charge(1);
  line_ = stmt.line;
  switch (stmt.kind) {
    case StmtKind::output:
      execute_output(stmt, scope, out);
      return Flow::normal;
    case StmtKind::condition:
      for (const Branch& branch : stmt.branches) {
        if (truthy(*this, evaluate(*branch.test, scope))) return execute(branch.body, scope, out);
      }
      return execute(stmt.else_body, scope, out);
    case StmtKind::loop:
      if (stmt.recursive) {
        append(out, run_loop(stmt, scope, evaluate(*stmt.exprs[0], scope), 0));
        return Flow::normal;
      }
      return execute_loop(stmt, scope, evaluate(*stmt.exprs[0], scope), 0, out);
    case StmtKind::set:
      execute_set(stmt, scope);
      return Flow::normal;
    case StmtKind::set_block:
    case StmtKind::filter_block:
      return execute_capture(stmt, scope, out);
    case StmtKind::with:
      return execute_with(stmt, scope, out);
    case StmtKind::macro:
      assign(*stmt.targets[0], make_macro(runtime_, *stmt.macro, scope), scope);
      return Flow::normal;
    case StmtKind::call_block:
      execute_call_block(stmt, scope, out);
      return Flow::normal;
    case StmtKind::break_loop:
      return Flow::stop_loop;
    case StmtKind::continue_loop:
      return Flow::next_round;
  }
  return Flow::normal;
}

void Interpreter::execute_output(const Stmt& stmt, Scope* scope, std::string& out) {
  for (const ExprPtr& expr : stmt.exprs) {
    if (expr->kind == ExprKind::constant && expr->value.is(Kind::string)) {
      append(out, expr->value.text());
      continue;
    }
    Value value = evaluate(*expr, scope);
    if (value.is(Kind::string)) {
      append(out, value.text());
    } else if (!value.is(Kind::undefined)) {
      append(out, str(value));
    }
  }
}

void Interpreter::require_namespaces(const Expr& target, Scope* scope) {
  if (target.kind == ExprKind::namespace_target && !variable(target.place, scope).is(Kind::name_space)) {
    fail(fmt::format("'{}.{}' cannot be set: '{}' is no namespace", target.text, target.operators[0], target.text));
  }
  for (const ExprPtr& item : target.children) require_namespaces(*item, scope);
}

void Interpreter::execute_set(const Stmt& stmt, Scope* scope) {
  require_namespaces(*stmt.targets[0], scope);
  assign(*stmt.targets[0], evaluate(*stmt.exprs[0], scope), scope);
}

void Interpreter::assign(const Expr& target, Value value, Scope* scope) {
  if (target.kind == ExprKind::name) {
    variable(target.place, scope) = std::move(value);
  } else if (target.kind == ExprKind::namespace_target) {
    const std::string& name = target.operators[0];
    if (name[0] == '_') fail(fmt::format("a namespace cannot hold '{}': it begins with an underscore", name));
    Value& holder = variable(target.place, scope);
    if (!holder.is(Kind::name_space)) fail(fmt::format("'{}' is no namespace", target.text));
    holder.as<Namespace>().attributes.set(runtime_, Value::string(name), std::move(value));
  } else {
    Runtime::Level level(runtime_);
    // Not collect(): of an endless source only as many values are taken as there are names, and one more.
    Iterator& source = iterate(value);
    std::vector<Value> items;
    for (Value item; items.size() <= target.children.size() && source.next(*this, item);) items.push_back(item);
    if (items.size() != target.children.size()) {
      fail(fmt::format("{} values to unpack, expected {}",
                       items.size() > target.children.size() ? "too many" : "not enough", target.children.size()));
    }
    for (size_t i = 0; i < items.size(); ++i) assign(*target.children[i], std::move(items[i]), scope);
  }
}

Interpreter::Flow Interpreter::execute_capture(const Stmt& stmt, Scope* scope, std::string& out) {
  Scope& inner = enter(stmt.scope, scope);
  std::string text;
  if (Flow flow = execute(stmt.body, &inner, text); flow != Flow::normal) return flow;
  Value value = make_string(runtime_, std::move(text));
  if (stmt.exprs[0]) value = evaluate_filter(*stmt.exprs[0], &inner, &value);
  if (stmt.kind == StmtKind::filter_block) {
    append(out, str(value));
  } else {
    require_namespaces(*stmt.targets[0], scope);
    assign(*stmt.targets[0], std::move(value), scope);
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute_with(const Stmt& stmt, Scope* scope, std::string& out) {
  Scope& inner = enter(stmt.scope, scope);
  for (size_t i = 0; i < stmt.targets.size(); ++i) {
    assign(*stmt.targets[i], evaluate(*stmt.exprs[i], scope), &inner);
  }
  return execute(stmt.body, &inner, out);
}

void Interpreter::execute_call_block(const Stmt& stmt, Scope* scope, std::string& out) {
  Value caller = make_macro(runtime_, *stmt.macro, scope);
  Value result = stmt.exprs.empty() ? call(caller, {}) : evaluate_call(*stmt.exprs[0], scope, &caller);
  append(out, str(result));
}

// ---- loops

// The items of a loop that its condition lets pass.
class FilteredItems : public Iterator {
 public:
  const Stmt* stmt = nullptr;
  Iterator* source = nullptr;
  Scope* scope = nullptr;

  bool next(Interpreter& interpreter, Value& out) override {
    Runtime::Level level(interpreter.runtime());
    while (source->next(interpreter, out)) {
      interpreter.runtime().charge(1);
      interpreter.assign(*stmt->targets[0], out, scope);
      if (truthy(interpreter, interpreter.evaluate(*stmt->test, scope))) return true;
    }
    return false;
  }
};

Interpreter::Flow Interpreter::execute_loop(const Stmt& stmt, Scope* outer, const Value& items, int depth,
                                            std::string& out) {
  Iterator* source = &iterate(items);
  int64_t known_length = length(items);
  if (stmt.test) {
    FilteredItems* filtered = runtime_.make<FilteredItems>();
    filtered->stmt = &stmt;
    filtered->source = source;
    Scope& test_scope = *runtime_.make<Scope>();
    test_scope.outer = outer;
    test_scope.slots.resize(stmt.test_scope.loads.size());
    load(stmt.test_scope, test_scope);
    filtered->scope = &test_scope;
    source = filtered;
    known_length = -1;
  }
  LoopState* state = runtime_.make<LoopState>();
  state->begin(stmt, outer, source, known_length, depth);
  Scope& scope = *runtime_.make<Scope>();
  scope.outer = outer;
  scope.slots.resize(stmt.scope.loads.size());
  // As in Jinja, a round that is left by break or continue does not count for the else.
  bool completed = false;
  for (Value item; state->advance(*this, item);) {
    runtime_.charge(1);
    if (stmt.loop_slot >= 0) scope.slots[static_cast<size_t>(stmt.loop_slot)] = Value::object(Kind::callable, state);
    assign(*stmt.targets[0], std::move(item), &scope);
    load(stmt.scope, scope);
    Flow flow = execute(stmt.body, &scope, out);
    if (flow == Flow::stop_loop) break;
    if (flow == Flow::normal) completed = true;
  }
  if (completed || stmt.else_body.empty()) return Flow::normal;
  return execute(stmt.else_body, &enter(stmt.else_scope, outer), out);
}

std::string Interpreter::run_loop(const Stmt& stmt, Scope* outer, const Value& items, int depth) {
  Runtime::Level level(runtime_);
  std::string out;
  execute_loop(stmt, outer, items, depth, out);
  return out;
}

// ---- macros

std::string Interpreter::call_macro(const MacroPlan& macro, Scope* outer, const CallArguments& arguments) {
  Runtime::Level level(runtime_);
  Scope& scope = enter(macro.scope, outer);
  auto keywords = arguments.keywords;
  auto pop = [&](const std::string& name) {
    for (auto it = keywords.begin(); it != keywords.end(); ++it) {
      if (it->first != name) continue;
      Value value = std::move(it->second);
      keywords.erase(it);
      return value;
    }
    return Value();
  };
  size_t count = macro.parameters.size();
  for (size_t i = 0; i < count; ++i) {
    const Expr& parameter = *macro.parameters[i];
    variable(parameter.place, &scope) = i < arguments.positional.size() ? arguments.positional[i] : pop(parameter.text);
  }
  if (macro.caller_slot >= 0) {
    Value caller = pop("caller");
    bool absent = caller.is(Kind::missing) || caller.is(Kind::none);
    scope.slots[static_cast<size_t>(macro.caller_slot)] =
        absent ? Value::undefined("no caller is defined") : std::move(caller);
  }
  if (macro.kwargs_slot >= 0) {
    Value rest;
    Dict& dict = make_dict(runtime_, rest);
    for (auto& [name, value] : keywords) dict.set(runtime_, Value::string(name), value);
    scope.slots[static_cast<size_t>(macro.kwargs_slot)] = rest;
  } else if (!keywords.empty()) {
    fail(fmt::format("macro '{}' takes no keyword argument '{}'", macro.name, keywords[0].first));
  }
  if (macro.varargs_slot >= 0) {
    std::vector<Value> rest;
    for (size_t i = count; i < arguments.positional.size(); ++i) rest.push_back(arguments.positional[i]);
    scope.slots[static_cast<size_t>(macro.varargs_slot)] = make_tuple(runtime_, std::move(rest));
  } else if (arguments.positional.size() > count) {
    fail(fmt::format("macro '{}' takes not more than {} arguments", macro.name, count));
  }
  size_t without_default = count - macro.defaults.size();
  for (size_t i = 0; i < count; ++i) {
    const Expr& parameter = *macro.parameters[i];
    if (!variable(parameter.place, &scope).is(Kind::missing)) continue;
    Value value = i < without_default ? Value::undefined(fmt::format("parameter '{}' was not provided", parameter.text))
                                      : evaluate(*macro.defaults[i - without_default], &scope);
    variable(parameter.place, &scope) = std::move(value);
  }
  std::string out;
  execute(macro.body, &scope, out);
  return out;
}

}  // namespace nuri::jinja
