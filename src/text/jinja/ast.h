#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

// The tree of a parsed template. Names are resolved to places in scopes by scopes.h after parsing.
namespace nuri::jinja {

struct FilterEntry;
struct TestEntry;

// Where a variable lives: `hops` scopes outwards, then number `slot`.
struct Place {
  int hops = 0;
  int slot = 0;
};

enum class ExprKind {
  constant,
  name,
  namespace_target,  // name.attribute on the left of a set
  tuple,
  list,
  dict,  // children: key, value, key, value, ...
  logical_not,
  logical_and,
  logical_or,
  condition,  // children: test, then, otherwise (may be null)
  negate,
  plus,
  binary,   // text: the operator
  concat,   // ~
  compare,  // children: operands; operators: between them
  attribute,
  item,
  slice,  // children: start, stop, step; each may be null. Only as the second child of item
  call,
  filter,  // children[0] is null in a filter block
  test,
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keywords;
  ExprPtr star, double_star;
};

struct Expr {
  Expr(ExprKind k, int at_line) : kind(k), line(at_line) {}

  ExprKind kind;
  int line;
  int depth = 1;     // of the tree below, which evaluation recurses through
  std::string text;  // of a name, attribute, operator, filter or test
  Value value;       // of a constant
  std::vector<ExprPtr> children;
  std::vector<std::string> operators;
  std::unique_ptr<Arguments> arguments;
  Place place;                          // of a name or namespace_target
  const FilterEntry* filter = nullptr;  // null: fails when it is reached
  const TestEntry* test = nullptr;
};

// How a scope's variable starts when the scope is entered.
struct Load {
  enum From { parameter, context, outer, unset } from = unset;
  std::string name;
  Place outer_place;  // seen from the scope itself
};

struct ScopePlan {
  std::vector<Load> loads;  // one for each slot
};

enum class StmtKind {
  output,
  condition,
  loop,
  set,
  set_block,
  macro,
  call_block,
  filter_block,
  with,
  break_loop,
  continue_loop
};

struct Stmt;
using StmtPtr = std::unique_ptr<Stmt>;
using Body = std::vector<StmtPtr>;

struct Branch {
  ExprPtr test;
  Body body;
};

// What follows a macro's or call block's signature.
struct MacroPlan {
  std::string name;  // empty for call blocks
  std::vector<ExprPtr> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  Body body;
  ScopePlan scope;
  int caller_slot = -1, kwargs_slot = -1, varargs_slot = -1;
  bool accesses_caller = false;
};

struct Stmt {
  Stmt(StmtKind k, int at_line) : kind(k), line(at_line) {}

  StmtKind kind;
  int line;
  std::vector<ExprPtr> exprs;    // output: what to print; with: the values; others: one
  std::vector<ExprPtr> targets;  // set, loop: one; with: as many as values
  std::vector<Branch> branches;  // condition: if and elif
  Body body;
  Body else_body;
  ExprPtr test;  // loop: the filter
  bool recursive = false;
  int loop_slot = -1;
  ScopePlan scope, test_scope, else_scope;
  std::unique_ptr<MacroPlan> macro;
};

struct TemplateTree {
  Body body;
  ScopePlan scope;
};

}  // namespace nuri::jinja
