#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja/arguments.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"

// The methods of list, tuple, dict, range, int, float and cycler.
namespace nuri::jinja {
namespace {

Value dict_get(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("get", arguments, {"/key", "/default"}, 1);
  const Value* found = self.as<Dict>().find(interpreter.runtime(), bound[0]);
  return found ? *found : bound.or_none(1);
}

template <DictView::Part Part>
Value dict_view(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound("dict view", arguments, {});
  DictView* view = interpreter.runtime().make<DictView>();
  view->part = Part;
  view->dict = &self.as<Dict>();
  return Value::object(Kind::view, view);
}

Value dict_copy(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound("copy", arguments, {});
  Value out;
  Dict& copy = make_dict(interpreter.runtime(), out);
  for (const auto& [key, value] : self.as<Dict>().entries()) copy.set(interpreter.runtime(), key, value);
  return out;
}

Value list_copy(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound("copy", arguments, {});
  return make_list(interpreter.runtime(), self.as<List>().items);
}

Value sequence_count(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("count", arguments, {"/value"}, 1);
  int64_t count = 0;
  for (const Value& item : interpreter.collect(self)) count += equal(interpreter.runtime(), item, bound[0]) ? 1 : 0;
  return Value::integer(count);
}

Value sequence_index(Interpreter& interpreter, const Value& self, const CallArguments& arguments) {
  Bound bound("index", arguments, {"/value", "/start", "/stop"}, 1);
  std::vector<Value> items = interpreter.collect(self);
  auto size = static_cast<int64_t>(items.size());
  auto position = [&](int64_t index) { return std::clamp<int64_t>(index < 0 ? index + size : index, 0, size); };
  int64_t stop = position(bound.integer(2, size));
  for (int64_t i = position(bound.integer(1, 0)); i < stop; ++i) {
    if (equal(interpreter.runtime(), items[static_cast<size_t>(i)], bound[0])) return Value::integer(i);
  }
  fail("the value to find the index of is not in the sequence");
}

Value bit_length(Interpreter&, const Value& self, const CallArguments& arguments) {
  Bound("bit_length", arguments, {});
  uint64_t magnitude =
      self.integer() < 0 ? 0 - static_cast<uint64_t>(self.integer()) : static_cast<uint64_t>(self.integer());
  int64_t bits = 0;
  for (; magnitude > 0; magnitude >>= 1) ++bits;
  return Value::integer(bits);
}

Value is_integer(Interpreter&, const Value& self, const CallArguments& arguments) {
  Bound("is_integer", arguments, {});
  return Value::boolean(std::isfinite(self.real()) && self.real() == std::floor(self.real()));
}

Value itself(Interpreter&, const Value& self, const CallArguments& arguments) {
  Bound("conjugate", arguments, {});
  return self.is(Kind::real) ? self : Value::integer(self.integer());
}

Value cycler_next(Interpreter&, const Value& self, const CallArguments& arguments) {
  Bound("next", arguments, {});
  Cycler& cycler = self.as<Cycler>();
  Value value = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return value;
}

Value cycler_reset(Interpreter&, const Value& self, const CallArguments& arguments) {
  Bound("reset", arguments, {});
  self.as<Cycler>().position = 0;
  return Value::none();
}

Method find_dict_method(std::string_view name) {
  if (name == "get") return dict_get;
  if (name == "items") return dict_view<DictView::items>;
  if (name == "keys") return dict_view<DictView::keys>;
  if (name == "values") return dict_view<DictView::values>;
  return name == "copy" ? dict_copy : nullptr;
}

Method find_sequence_method(const Value& self, std::string_view name) {
  if (name == "count") return sequence_count;
  if (name == "index") return sequence_index;
  return name == "copy" && self.is(Kind::list) ? list_copy : nullptr;
}

}  // namespace

bool changes_its_object(const Value& self, std::string_view name) {
  static constexpr std::string_view kList[] = {"append", "clear", "pop",    "reverse",
                                               "insert", "sort",  "extend", "remove"};
  static constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  if (self.is(Kind::list)) return std::find(std::begin(kList), std::end(kList), name) != std::end(kList);
  return self.is(Kind::dict) && std::find(std::begin(kDict), std::end(kDict), name) != std::end(kDict);
}

Method find_method(const Value& self, std::string_view name) {
  switch (self.kind()) {
    case Kind::string:
      return find_string_method(name);
    case Kind::dict:
      return find_dict_method(name);
    case Kind::list:
    case Kind::tuple:
    case Kind::range:
      return find_sequence_method(self, name);
    case Kind::boolean:
    case Kind::integer:
      if (name == "bit_length") return bit_length;
      return name == "conjugate" ? itself : nullptr;
    case Kind::real:
      if (name == "is_integer") return is_integer;
      return name == "conjugate" ? itself : nullptr;
    case Kind::cycler:
      if (name == "next") return cycler_next;
      return name == "reset" ? cycler_reset : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace nuri::jinja
