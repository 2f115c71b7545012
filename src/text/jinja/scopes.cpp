#include "text/jinja/scopes.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>

#include "text/jinja/filters.h"
#include "text/jinja/lexer.h"

namespace nuri::jinja {
namespace {

template <class Visit>
void for_each_child(const Expr& expr, Visit visit) {
  auto each = [&](const ExprPtr& child) {
    if (child) visit(*child);
  };
  for (const ExprPtr& child : expr.children) each(child);
  if (!expr.arguments) return;
  for (const ExprPtr& child : expr.arguments->positional) each(child);
  for (const auto& [name, child] : expr.arguments->keywords) each(child);
  each(expr.arguments->star);
  each(expr.arguments->double_star);
}

// The variables of one scope. Branches of an if work on copies that share the slots.
struct Symbols {
  Symbols* parent = nullptr;
  std::shared_ptr<std::map<std::string, int>> slots = std::make_shared<std::map<std::string, int>>();
  std::map<std::string, Load> loads;  // the variables known so far and how they start
  std::set<std::string> stores;

  bool knows(const std::string& name) const {
    return loads.count(name) > 0 || (parent != nullptr && parent->knows(name));
  }

  void define(const std::string& name, Load::From from) {
    slots->emplace(name, static_cast<int>(slots->size()));
    loads[name] = Load{from, name, {}};
  }

  void load(const std::string& name) {
    if (!knows(name)) define(name, Load::context);
  }

  void store(const std::string& name) {
    stores.insert(name);
    if (loads.count(name) == 0) define(name, parent && parent->knows(name) ? Load::outer : Load::unset);
  }

  void parameter(const std::string& name) {
    stores.insert(name);
    define(name, Load::parameter);
  }

  // After an if: what only some branch sets starts with the value it had before.
  void merge(const std::vector<Symbols>& branches) {
    std::set<std::string> set_inside;
    for (const Symbols& branch : branches) {
      for (const std::string& name : branch.stores) {
        if (stores.count(name) == 0) set_inside.insert(name);
      }
    }
    for (const Symbols& branch : branches) {
      for (const auto& [name, load] : branch.loads) loads[name] = load;
      stores.insert(branch.stores.begin(), branch.stores.end());
    }
    for (const std::string& name : set_inside) {
      loads[name].from = parent && parent->knows(name) ? Load::outer : Load::context;
    }
  }

  // The place of a name known here or further out.
  Place place(const std::string& name) const {
    Place out;
    for (const Symbols* scope = this; scope; scope = scope->parent, ++out.hops) {
      if (scope->loads.count(name) == 0) continue;
      out.slot = scope->slots->at(name);
      return out;
    }
    return {0, -1};
  }

  ScopePlan plan() const {
    ScopePlan plan;
    plan.loads.resize(slots->size());
    for (const auto& [name, load] : loads) {
      Load& out = plan.loads[static_cast<size_t>(slots->at(name))];
      out = load;
      if (load.from != Load::outer) continue;
      out.outer_place = parent->place(name);
      ++out.outer_place.hops;
    }
    return plan;
  }
};

// First pass over a scope: which names it reads and sets, in order. It stops at inner scopes.
class Collector {
 public:
  // `work` counts what the copies of branches cost, over the whole template.
  Collector(Symbols& symbols, int64_t& work) : symbols_(&symbols), work_(work) {}

  void expr(const Expr& expr) {
    if (expr.kind == ExprKind::name || expr.kind == ExprKind::namespace_target) symbols_->load(expr.text);
    for_each_child(expr, [&](const Expr& child) { this->expr(child); });
  }

  void target(const Expr& target, bool as_parameter) {
    if (target.kind == ExprKind::tuple) {
      for (const ExprPtr& item : target.children) this->target(*item, as_parameter);
    } else if (target.kind == ExprKind::namespace_target) {
      symbols_->load(target.text);
    } else {
      as_parameter ? symbols_->parameter(target.text) : symbols_->store(target.text);
    }
  }

  void body(const Body& body) {
    for (const StmtPtr& stmt : body) statement(*stmt);
  }

 private:
  void statement(const Stmt& stmt) {
    if (stmt.kind == StmtKind::condition) return condition(stmt);
    for (const ExprPtr& expr : stmt.exprs) {
      if (expr && stmt.kind != StmtKind::set_block) this->expr(*expr);
    }
    if (stmt.kind == StmtKind::set || stmt.kind == StmtKind::set_block || stmt.kind == StmtKind::macro) {
      target(*stmt.targets[0], false);
    }
  }

  void condition(const Stmt& stmt) {
    expr(*stmt.branches[0].test);
    Symbols* before = symbols_;
    count_copies(3, stmt.line);
    std::vector<Symbols> branches(3, *before);
    symbols_ = &branches[0];
    body(stmt.branches[0].body);
    symbols_ = &branches[1];
    for (size_t i = 1; i < stmt.branches.size(); ++i) elif (stmt.branches[i]);
    symbols_ = &branches[2];
    body(stmt.else_body);
    symbols_ = before;
    symbols_->merge(branches);
  }

  // An elif counts as an if of its own, after those before it.
  void elif (const Branch& branch) {
    expr(*branch.test);
    Symbols* before = symbols_;
    count_copies(1, branch.test->line);
    std::vector<Symbols> copy(1, *before);
    symbols_ = &copy[0];
    body(branch.body);
    symbols_ = before;
    symbols_->merge(copy);
  }

  void count_copies(int64_t copies, int line) {
    work_ += copies * static_cast<int64_t>(symbols_->loads.size() + symbols_->stores.size() + 1);
    if (work_ > kMaxWork) throw SyntaxFailure{line, "too many variables for so many branches"};
  }

  static constexpr int64_t kMaxWork = 1'000'000;
  Symbols* symbols_;
  int64_t& work_;
};

// Which of `names` are read before they are set, in the whole tree below.
class UndeclaredFinder {
 public:
  explicit UndeclaredFinder(std::set<std::string> names) : names_(std::move(names)) {}

  void body(const Body& body) {
    for (const StmtPtr& stmt : body) statement(*stmt);
  }
  const std::set<std::string>& found() const { return found_; }

 private:
  void expr(const Expr& expr) {
    if (expr.kind == ExprKind::name && names_.count(expr.text)) found_.insert(expr.text);
    for_each_child(expr, [&](const Expr& child) { this->expr(child); });
  }
  void target(const Expr& target) {
    if (target.kind == ExprKind::name) names_.erase(target.text);
    for (const ExprPtr& item : target.children) this->target(*item);
  }
  void macro(const MacroPlan& macro) {
    for (const ExprPtr& parameter : macro.parameters) target(*parameter);
    for (const ExprPtr& value : macro.defaults) expr(*value);
    body(macro.body);
  }
  void statement(const Stmt& stmt) {
    if (stmt.kind != StmtKind::macro) {
      for (const ExprPtr& each : stmt.targets) target(*each);
    }
    for (const ExprPtr& each : stmt.exprs) {
      if (each) expr(*each);
    }
    for (const Branch& branch : stmt.branches) {
      expr(*branch.test);
      body(branch.body);
    }
    body(stmt.body);
    body(stmt.else_body);
    if (stmt.test) expr(*stmt.test);
    if (stmt.macro) macro(*stmt.macro);
  }

  std::set<std::string> names_, found_;
};

// Second pass: writes places into names, plans into statements.
class Resolver {
 public:
  void tree(TemplateTree& tree) {
    Symbols root;
    collect(root).body(tree.body);
    body(tree.body, root, {});
    tree.scope = root.plan();
  }

 private:
  Collector collect(Symbols& symbols) { return Collector(symbols, work_); }

  struct Context {
    bool soft = false;  // inside an if, where an unknown filter matters only once it is reached
    bool in_loop = false;
  };

  void expr(Expr& expr, Symbols& symbols, bool soft) {
    if (expr.kind == ExprKind::name || expr.kind == ExprKind::namespace_target) {
      symbols.load(expr.text);
      expr.place = symbols.place(expr.text);
    } else if (expr.kind == ExprKind::filter) {
      expr.filter = find_filter(expr.text);
      if (!expr.filter && !soft) throw SyntaxFailure{expr.line, fmt::format("no filter named '{}'", expr.text)};
    } else if (expr.kind == ExprKind::test) {
      expr.test = find_test(expr.text);
      if (!expr.test && !soft) throw SyntaxFailure{expr.line, fmt::format("no test named '{}'", expr.text)};
    }
    bool child_soft = soft || expr.kind == ExprKind::condition;
    for_each_child(expr, [&](Expr& child) { this->expr(child, symbols, child_soft); });
  }

  void target(Expr& target, Symbols& symbols) {
    target.place = symbols.place(target.text);
    for (const ExprPtr& item : target.children) this->target(*item, symbols);
  }

  void body(const Body& body, Symbols& symbols, Context context) {
    for (const StmtPtr& stmt : body) statement(*stmt, symbols, context);
  }

  void statement(Stmt& stmt, Symbols& symbols, Context context) {
    switch (stmt.kind) {
      case StmtKind::condition:
        return condition(stmt, symbols, context);
      case StmtKind::loop:
        return loop(stmt, symbols, context);
      case StmtKind::set_block:
      case StmtKind::filter_block:
        return capture(stmt, symbols, context);
      case StmtKind::with:
        return with(stmt, symbols, context);
      case StmtKind::macro:
        target(*stmt.targets[0], symbols);
        return macro(*stmt.macro, symbols, stmt.line);
      case StmtKind::break_loop:
      case StmtKind::continue_loop:
        if (!context.in_loop) throw SyntaxFailure{stmt.line, "break or continue outside of a loop"};
        return;
      case StmtKind::call_block:
        macro(*stmt.macro, symbols, stmt.line);
        break;
      case StmtKind::output:
      case StmtKind::set:
        break;
    }
    for (const ExprPtr& each : stmt.exprs) expr(*each, symbols, context.soft);
    for (const ExprPtr& each : stmt.targets) target(*each, symbols);
  }

  void condition(Stmt& stmt, Symbols& symbols, Context context) {
    context.soft = true;
    for (Branch& branch : stmt.branches) {
      expr(*branch.test, symbols, true);
      body(branch.body, symbols, context);
    }
    body(stmt.else_body, symbols, context);
  }

  void loop(Stmt& stmt, Symbols& symbols, Context context) {
    expr(*stmt.exprs[0], symbols, context.soft);
    Symbols inner{&symbols};
    UndeclaredFinder finder({"loop"});
    finder.body(stmt.body);
    if (stmt.recursive || !finder.found().empty()) {
      inner.parameter("loop");
      stmt.loop_slot = inner.slots->at("loop");
    }
    Collector collector = collect(inner);
    collector.target(*stmt.targets[0], true);
    collector.body(stmt.body);
    if (stmt.test) {
      Symbols filter{&symbols};
      // The filter runs in a scope of its own; its targets take the same slots as in the body's.
      filter.slots = std::make_shared<std::map<std::string, int>>(*inner.slots);
      collect(filter).target(*stmt.targets[0], true);
      collect(filter).expr(*stmt.test);
      expr(*stmt.test, filter, false);
      stmt.test_scope = filter.plan();
    }
    target(*stmt.targets[0], inner);
    body(stmt.body, inner, {false, true});
    stmt.scope = inner.plan();
    Symbols otherwise{&symbols};
    collect(otherwise).body(stmt.else_body);
    body(stmt.else_body, otherwise, {false, context.in_loop});
    stmt.else_scope = otherwise.plan();
  }

  void capture(Stmt& stmt, Symbols& symbols, Context context) {
    Symbols inner{&symbols};
    collect(inner).body(stmt.body);
    if (stmt.exprs[0]) collect(inner).expr(*stmt.exprs[0]);
    body(stmt.body, inner, {false, context.in_loop});
    if (stmt.exprs[0]) expr(*stmt.exprs[0], inner, false);
    stmt.scope = inner.plan();
    for (const ExprPtr& each : stmt.targets) target(*each, symbols);
  }

  void with(Stmt& stmt, Symbols& symbols, Context context) {
    for (const ExprPtr& value : stmt.exprs) expr(*value, symbols, context.soft);
    Symbols inner{&symbols};
    for (const ExprPtr& each : stmt.targets) collect(inner).target(*each, true);
    collect(inner).body(stmt.body);
    for (const ExprPtr& each : stmt.targets) target(*each, inner);
    body(stmt.body, inner, {false, context.in_loop});
    stmt.scope = inner.plan();
  }

  void macro(MacroPlan& macro, Symbols& symbols, int line) {
    Symbols inner{&symbols};
    std::set<std::string> special = {"caller", "kwargs", "varargs"};
    std::set<std::string> named;
    for (const ExprPtr& parameter : macro.parameters) {
      inner.parameter(parameter->text);
      named.insert(parameter->text);
    }
    UndeclaredFinder finder(special);
    finder.body(macro.body);
    auto reads = [&](const char* name) { return finder.found().count(name) > 0; };
    auto give = [&](const char* name) {
      inner.parameter(name);
      return inner.slots->at(name);
    };
    macro.accesses_caller = reads("caller");
    if (macro.accesses_caller && !named.count("caller")) macro.caller_slot = give("caller");
    if (macro.accesses_caller && named.count("caller")) require_caller_default(macro, line);
    if (reads("kwargs") && !named.count("kwargs")) macro.kwargs_slot = give("kwargs");
    if (reads("varargs") && !named.count("varargs")) macro.varargs_slot = give("varargs");
    for (const ExprPtr& value : macro.defaults) collect(inner).expr(*value);
    collect(inner).body(macro.body);
    for (const ExprPtr& parameter : macro.parameters) target(*parameter, inner);
    for (const ExprPtr& value : macro.defaults) expr(*value, inner, false);
    body(macro.body, inner, {});
    macro.scope = inner.plan();
  }

  void require_caller_default(const MacroPlan& macro, int line) const {
    size_t without = macro.parameters.size() - macro.defaults.size();
    for (size_t i = 0; i < without; ++i) {
      if (macro.parameters[i]->text == "caller") {
        throw SyntaxFailure{line, "the parameter 'caller' must be left out or have a default"};
      }
    }
  }

  int64_t work_ = 0;
};

}  // namespace

void resolve_names(TemplateTree& tree) { Resolver().tree(tree); }

}  // namespace nuri::jinja
