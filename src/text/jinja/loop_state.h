#pragma once

#include "text/jinja/interpreter.h"

namespace nuri::jinja {

// The variable `loop`.
class LoopState : public Callable {
 public:
  // `known_length`: of the items, or -1 when they must be counted by taking them.
  void begin(const Stmt& stmt, Scope* outer, Iterator* source, int64_t known_length, int depth);
  // The next item; false at the end.
  bool advance(Interpreter& interpreter, Value& item);

  Value call(Interpreter& interpreter, const CallArguments& arguments) override;
  Value attribute(Interpreter& interpreter, std::string_view name) override;
  std::string repr() const override { return "<LoopContext>"; }
  int64_t size(Interpreter& interpreter) override;

 private:
  bool peek(Interpreter& interpreter);
  Value cycle(const CallArguments& arguments) const;
  bool changed(Interpreter& interpreter, const CallArguments& arguments);
  static Value call_cycle(Interpreter& interpreter, const Value& self, const CallArguments& arguments);
  static Value call_changed(Interpreter& interpreter, const Value& self, const CallArguments& arguments);

  const Stmt* stmt_ = nullptr;
  Scope* outer_ = nullptr;
  Iterator* source_ = nullptr;
  int64_t length_ = -1;
  int64_t index0_ = -1;
  int depth0_ = 0;
  Value before_, current_, after_;
  std::vector<Value> ahead_;  // taken from the source to count it, last first
  bool counted_ = false;
  bool has_last_changed_ = false;
  std::vector<Value> last_changed_;
};

}  // namespace nuri::jinja
