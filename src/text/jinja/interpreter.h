#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace nuri::jinja {

// The variables of one entered scope. Macros keep theirs, so scopes live as long as the rendering.
struct Scope : Object {
  std::vector<Value> slots;
  Scope* outer = nullptr;
};

// Runs one template once.
class Interpreter {
 public:
  // Time for strftime_now: seconds since the epoch, shown in local time.
  using Clock = std::function<int64_t()>;

  Interpreter(const TemplateTree& tree, const Limits& limits, Clock clock);

  // The rendered text. `variables` are the template's context. Throws Failure.
  std::string run(const Json& variables);
  // The line that was being evaluated.
  int line() const { return line_; }

  // ---- for the library of filters, tests and methods
  Runtime& runtime() { return runtime_; }
  int64_t now() const { return clock_(); }

  Iterator& iterate(const Value& value);
  // Everything that `value` yields.
  std::vector<Value> collect(const Value& value);
  bool iterable(const Value& value) const;
  // Python's len(); -1 when the type has none.
  int64_t length(const Value& value);

  Value attribute(const Value& object, const std::string& name);  // object.name
  Value item(const Value& object, const Value& key);              // object[key]
  Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);
  Value call(const Value& function, const CallArguments& arguments);
  bool contains(const Value& container, const Value& item);

  std::string str(const Value& value);   // Python's str()
  std::string repr(const Value& value);  // Python's repr()

  // ---- for macros and recursive loops
  std::string call_macro(const MacroPlan& macro, Scope* outer, const CallArguments& arguments);
  std::string run_loop(const Stmt& stmt, Scope* outer, const Value& items, int depth);

 private:
  enum class Flow { normal, stop_loop, next_round };

  Scope& enter(const ScopePlan& plan, Scope* outer);
  void load(const ScopePlan& plan, Scope& scope);
  Value& variable(const Place& place, Scope* scope);
  void append(std::string& out, std::string_view text);

  Flow execute(const Body& body, Scope* scope, std::string& out);
  Flow execute(const Stmt& stmt, Scope* scope, std::string& out);
  void execute_output(const Stmt& stmt, Scope* scope, std::string& out);
  void execute_set(const Stmt& stmt, Scope* scope);
  Flow execute_capture(const Stmt& stmt, Scope* scope, std::string& out);
  Flow execute_with(const Stmt& stmt, Scope* scope, std::string& out);
  void execute_call_block(const Stmt& stmt, Scope* scope, std::string& out);
  Flow execute_loop(const Stmt& stmt, Scope* outer, const Value& items, int depth, std::string& out);
  void assign(const Expr& target, Value value, Scope* scope);
  void require_namespaces(const Expr& target, Scope* scope);

  Value evaluate(const Expr& expr, Scope* scope);
  Value evaluate_name(const Expr& expr, Scope* scope);
  Value evaluate_sequence(const Expr& expr, Scope* scope);
  Value evaluate_dict(const Expr& expr, Scope* scope);
  Value evaluate_condition(const Expr& expr, Scope* scope);
  Value evaluate_binary(const Expr& expr, Scope* scope);
  Value evaluate_concat(const Expr& expr, Scope* scope);
  Value evaluate_compare(const Expr& expr, Scope* scope);
  Value evaluate_item(const Expr& expr, Scope* scope);
  Value evaluate_call(const Expr& expr, Scope* scope, const Value* caller);
  Value evaluate_filter(const Expr& expr, Scope* scope, const Value* block);
  Value evaluate_test(const Expr& expr, Scope* scope);
  CallArguments evaluate_arguments(const Arguments& arguments, Scope* scope);

  friend class FilteredItems;

  const TemplateTree& tree_;
  Runtime runtime_;
  Clock clock_;
  Dict* context_ = nullptr;
  int line_ = 1;
};

}  // namespace nuri::jinja
