#include "text/jinja/loop_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/arguments.h"
#include "text/jinja/library.h"

namespace nuri::jinja {

void LoopState::begin(const Stmt& stmt, Scope* outer, Iterator* source, int64_t known_length, int depth) {
  stmt_ = &stmt;
  outer_ = outer;
  source_ = source;
  length_ = known_length;
  depth0_ = depth;
}

// Makes sure that after_ holds the next item, unless there is none.
bool LoopState::peek(Interpreter& interpreter) {
  if (!after_.is(Kind::missing)) return true;
  if (counted_) {
    if (ahead_.empty()) return false;
    after_ = std::move(ahead_.back());
    ahead_.pop_back();
    return true;
  }
  Value item;
  if (!source_->next(interpreter, item)) return false;
  after_ = std::move(item);
  return true;
}

bool LoopState::advance(Interpreter& interpreter, Value& item) {
  if (!peek(interpreter)) return false;
  item = std::move(after_);
  after_ = Value();
  ++index0_;
  before_ = std::move(current_);
  current_ = item;
  return true;
}

int64_t LoopState::size(Interpreter& interpreter) {
  if (length_ >= 0) return length_;
  Value item;
  while (source_->next(interpreter, item)) {
    interpreter.runtime().charge(1);
    ahead_.push_back(item);
  }
  std::reverse(ahead_.begin(), ahead_.end());
  counted_ = true;
  length_ = static_cast<int64_t>(ahead_.size()) + index0_ + 1 + (after_.is(Kind::missing) ? 0 : 1);
  return length_;
}

Value LoopState::call(Interpreter& interpreter, const CallArguments& arguments) {
  Bound bound("loop", arguments, {"iterable"}, 1);
  if (!stmt_->recursive) fail("only a loop marked 'recursive' can be called");
  return Value::string(interpreter.run_loop(*stmt_, outer_, bound[0], depth0_ + 1));
}

Value LoopState::cycle(const CallArguments& arguments) const {
  if (arguments.positional.empty() || !arguments.keywords.empty()) fail("loop.cycle() needs items");
  return arguments.positional[static_cast<size_t>(index0_) % arguments.positional.size()];
}

bool LoopState::changed(Interpreter& interpreter, const CallArguments& arguments) {
  const std::vector<Value>& now = arguments.positional;
  bool same = has_last_changed_ && now.size() == last_changed_.size() &&
              std::equal(now.begin(), now.end(), last_changed_.begin(),
                         [&](const Value& a, const Value& b) { return equal(interpreter.runtime(), a, b); });
  has_last_changed_ = true;
  last_changed_ = now;
  return !same;
}

Value LoopState::call_cycle(Interpreter&, const Value& self, const CallArguments& arguments) {
  return self.as<LoopState>().cycle(arguments);
}

Value LoopState::call_changed(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  return Value::boolean(self.as<LoopState>().changed(interpreter, arguments));
}

Value LoopState::attribute(Interpreter& interpreter, std::string_view name) {
  if (name == "index0") return Value::integer(index0_);
  if (name == "index") return Value::integer(index0_ + 1);
  if (name == "first") return Value::boolean(index0_ == 0);
  if (name == "last") return Value::boolean(!peek(interpreter));
  if (name == "length") return Value::integer(size(interpreter));
  if (name == "revindex") return Value::integer(size(interpreter) - index0_);
  if (name == "revindex0") return Value::integer(size(interpreter) - index0_ - 1);
  if (name == "depth0") return Value::integer(depth0_);
  if (name == "depth") return Value::integer(depth0_ + 1);
  if (name == "previtem") return index0_ == 0 ? Value::undefined("there is no previous item") : before_;
  if (name == "nextitem") return peek(interpreter) ? after_ : Value::undefined("there is no next item");
  Value self = Value::object(Kind::callable, static_cast<Callable*>(this));
  if (name == "cycle") return make_function(interpreter.runtime(), "cycle", call_cycle, self);
  if (name == "changed") return make_function(interpreter.runtime(), "changed", call_changed, self);
  return {};
}

}  // namespace nuri::jinja
