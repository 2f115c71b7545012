#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/arguments.h"
#include "text/jinja/codepoints.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"

// Reading attributes, items, slices and iterating.
namespace nuri::jinja {
namespace {

class ListIterator : public Iterator {
 public:
  const std::vector<Value>* items = nullptr;
  size_t at = 0;
  bool next(Interpreter&, Value& out) override {
    if (at >= items->size()) return false;
    out = (*items)[at++];
    return true;
  }
};

class TextIterator : public Iterator {
 public:
  Value text;
  size_t at = 0;
  bool next(Interpreter& interpreter, Value& out) override {
    if (at >= text.text().size()) return false;
    interpreter.runtime().charge(1);
    size_t start = at;
    next_code_point(text.text(), at);
    out = Value::string(text.text().substr(start, at - start), text.is_markup());
    return true;
  }
};

class DictIterator : public Iterator {
 public:
  const Dict* dict = nullptr;
  DictView::Part part = DictView::keys;
  size_t at = 0;
  bool next(Interpreter& interpreter, Value& out) override {
    if (at >= dict->size()) return false;
    const auto& [key, value] = dict->entries()[at++];
    out = part == DictView::keys     ? key
          : part == DictView::values ? value
                                     : make_tuple(interpreter.runtime(), {key, value});
    return true;
  }
};

class RangeIterator : public Iterator {
 public:
  const RangeObject* range = nullptr;
  int64_t at = 0;
  bool next(Interpreter&, Value& out) override {
    if (at >= range->size()) return false;
    out = Value::integer(range->at(at++));
    return true;
  }
};

[[noreturn]] void not_iterable(const Value& value) {
  fail(fmt::format("'{}' object is not iterable", type_name(value)));
}

Iterator& iterate_dict(Runtime& runtime, const Dict& dict, DictView::Part part) {
  DictIterator* it = runtime.make<DictIterator>();
  it->dict = &dict;
  it->part = part;
  return *it;
}

const std::vector<Value>& no_items() {
  static const std::vector<Value> none;
  return none;
}

}  // namespace

bool Interpreter::iterable(const Value& value) const {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::dict:
    case Kind::range:
    case Kind::view:
    case Kind::iterator:
      return true;
    default:
      return false;
  }
}

Iterator& Interpreter::iterate(const Value& value) {
  switch (value.kind()) {
    case Kind::string: {
      TextIterator* it = runtime_.make<TextIterator>();
      it->text = value;
      return *it;
    }
    case Kind::undefined:
    case Kind::list:
    case Kind::tuple: {
      ListIterator* it = runtime_.make<ListIterator>();
      it->items = value.is(Kind::undefined) ? &no_items() : &value.as<List>().items;
      return *it;
    }
    case Kind::dict:
      return iterate_dict(runtime_, value.as<Dict>(), DictView::keys);
    case Kind::view:
      return iterate_dict(runtime_, *value.as<DictView>().dict, value.as<DictView>().part);
    case Kind::range: {
      RangeIterator* it = runtime_.make<RangeIterator>();
      it->range = &value.as<RangeObject>();
      return *it;
    }
    case Kind::iterator:
      return value.as<Iterator>();
    default:
      not_iterable(value);
  }
}

std::vector<Value> Interpreter::collect(const Value& value) {
  std::vector<Value> items;
  Iterator& source = iterate(value);
  for (Value item; source.next(*this, item);) {
    runtime_.charge(1);
    items.push_back(item);
  }
  return items;
}

int64_t Interpreter::length(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return 0;
    case Kind::string:
      runtime_.charge_text(value.text().size());
      return static_cast<int64_t>(code_point_count(value.text()));
    case Kind::list:
    case Kind::tuple:
      return static_cast<int64_t>(value.as<List>().items.size());
    case Kind::dict:
      return static_cast<int64_t>(value.as<Dict>().size());
    case Kind::range:
      return value.as<RangeObject>().size();
    case Kind::view:
      return static_cast<int64_t>(value.as<DictView>().dict->size());
    case Kind::callable:
      return value.as<Callable>().size(*this);
    default:
      return -1;
  }
}

// ---- attributes and items

namespace {

// What getattr(object, name) finds without looking at items; missing when there is nothing.
Value own_attribute(Interpreter& interpreter, const Value& object, const std::string& name) {
  if (changes_its_object(object, name)) {
    return Value::undefined(
        fmt::format("'{}' of '{}' would change it, which templates may not", name, type_name(object)));
  }
  switch (object.kind()) {
    case Kind::callable:
      return object.as<Callable>().attribute(interpreter, name);
    case Kind::name_space: {
      const Value* found = object.as<Namespace>().attributes.find(name);
      return found ? *found : Value();
    }
    case Kind::tuple:
      if (const Group* group = dynamic_cast<const Group*>(&object.as<List>())) {
        if (name == "grouper") return group->items[0];
        if (name == "list") return group->items[1];
      }
      break;
    case Kind::range: {
      const RangeObject& range = object.as<RangeObject>();
      if (name == "start") return Value::integer(range.start);
      if (name == "stop") return Value::integer(range.stop);
      if (name == "step") return Value::integer(range.step);
      break;
    }
    case Kind::boolean:
    case Kind::integer:
      if (name == "real" || name == "numerator") return Value::integer(object.integer());
      if (name == "imag") return Value::integer(0);
      if (name == "denominator") return Value::integer(1);
      break;
    case Kind::real:
      if (name == "real") return object;
      if (name == "imag") return Value::real(0);
      break;
    case Kind::cycler:
      if (name == "current") return object.as<Cycler>().items[object.as<Cycler>().position];
      break;
    default:
      break;
  }
  Method method = find_method(object, name);
  return method ? make_function(interpreter.runtime(), name, method, object) : Value();
}

bool in_range(int64_t& index, int64_t size) {
  if (index < 0) index += size;
  return index >= 0 && index < size;
}

// object[key] by Python's rules; missing where Python raises a TypeError or LookupError.
Value own_item(Interpreter& interpreter, const Value& object, const Value& key) {
  Runtime& runtime = interpreter.runtime();
  if (object.is(Kind::dict)) {
    if (key.is(Kind::list) || key.is(Kind::dict)) return {};
    const Value* found = object.as<Dict>().find(runtime, key);
    return found ? *found : Value();
  }
  if (!key.is_integral()) return {};
  int64_t index = key.integer();
  switch (object.kind()) {
    case Kind::list:
    case Kind::tuple: {
      const std::vector<Value>& items = object.as<List>().items;
      return in_range(index, static_cast<int64_t>(items.size())) ? items[static_cast<size_t>(index)] : Value();
    }
    case Kind::range: {
      const RangeObject& range = object.as<RangeObject>();
      return in_range(index, range.size()) ? Value::integer(range.at(index)) : Value();
    }
    case Kind::string: {
      const std::string& text = object.text();
      if (!in_range(index, interpreter.length(object))) return {};
      size_t start = byte_offset(text, static_cast<size_t>(index)), end = start;
      next_code_point(text, end);
      return Value::string(text.substr(start, end - start), object.is_markup());
    }
    default:
      return {};
  }
}

}  // namespace

Value Interpreter::attribute(const Value& object, const std::string& name) {
  if (object.is(Kind::undefined)) fail(object.text());
  Value value = own_attribute(*this, object, name);
  if (value.is(Kind::missing) && object.is(Kind::dict)) {
    if (const Value* found = object.as<Dict>().find(name)) value = *found;
  }
  return value.is(Kind::missing)
             ? Value::undefined(fmt::format("'{}' object has no attribute '{}'", type_name(object), name))
             : value;
}

Value Interpreter::item(const Value& object, const Value& key) {
  if (object.is(Kind::undefined)) fail(object.text());
  Value value = own_item(*this, object, key);
  if (value.is(Kind::missing) && key.is(Kind::string)) value = own_attribute(*this, object, key.text());
  if (!value.is(Kind::missing)) return value;
  return Value::undefined(fmt::format("'{}' object has no element {}", type_name(object),
                                      key.is(Kind::string) || key.is_number() ? repr(key) : type_name(key)));
}

// ---- slices

namespace {

struct SliceRange {
  int64_t start, stop, step, count;
};

// Python's slice.indices.
SliceRange slice_range(const Value& start, const Value& stop, const Value& step, int64_t size) {
  auto number = [](const Value& part, int64_t fallback) {
    if (part.is(Kind::none)) return fallback;
    if (!part.is_integral()) fail("slice indices must be integers or None");
    return part.integer();
  };
  SliceRange range{0, 0, number(step, 1), 0};
  if (range.step == 0) fail("a slice step cannot be zero");
  bool back = range.step < 0;
  int64_t low = back ? -1 : 0, high = back ? size - 1 : size;
  auto bound = [&](const Value& part, int64_t fallback) {
    int64_t index = number(part, fallback);
    if (part.is(Kind::none)) return index;
    if (index < 0) index = std::max(index, -size - 1) + size;
    return std::clamp(index, low, std::max(low, high));
  };
  range.start = bound(start, back ? high : low);
  range.stop = bound(stop, back ? low : high);
  RangeObject steps;
  steps.start = range.start;
  steps.stop = range.stop;
  steps.step = range.step;
  range.count = steps.size();
  return range;
}

std::string slice_text(const std::string& text, const SliceRange& range) {
  if (range.count == 0) return {};
  if (range.step == 1) {
    size_t begin = byte_offset(text, static_cast<size_t>(range.start));
    std::string_view rest = std::string_view(text).substr(begin);
    return std::string(rest.substr(0, byte_offset(rest, static_cast<size_t>(range.count))));
  }
  std::u32string points = decode(text);
  std::string out;
  for (int64_t i = 0; i < range.count; ++i) {
    append_code_point(out, points[static_cast<size_t>(range.start + i * range.step)]);
  }
  return out;
}

}  // namespace

Value Interpreter::slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  if (object.is(Kind::undefined)) fail(object.text());
  bool sliceable = object.is(Kind::string) || object.is(Kind::list) || object.is(Kind::tuple) || object.is(Kind::range);
  if (!sliceable) fail(fmt::format("'{}' object cannot be sliced", type_name(object)));
  SliceRange range = slice_range(start, stop, step, length(object));
  if (object.is(Kind::string)) {
    return make_string(runtime_, slice_text(object.text(), range), object.is_markup());
  }
  if (object.is(Kind::range)) {
    const RangeObject& source = object.as<RangeObject>();
    RangeObject* out = runtime_.make<RangeObject>();
    out->start = source.at(range.start);
    if (__builtin_mul_overflow(source.step, range.step, &out->step)) fail("a slice step is beyond 64 bits");
    out->stop = source.at(range.stop);
    return Value::object(Kind::range, out);
  }
  std::vector<Value> items;
  const std::vector<Value>& source = object.as<List>().items;
  for (int64_t i = 0; i < range.count; ++i) items.push_back(source[static_cast<size_t>(range.start + i * range.step)]);
  return object.is(Kind::list) ? make_list(runtime_, std::move(items)) : make_tuple(runtime_, std::move(items));
}

// ---- membership

bool Interpreter::contains(const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::string:
      if (!item.is(Kind::string)) {
        fail(fmt::format("'in <string>' requires string as left operand, not {}", type_name(item)));
      }
      runtime_.charge_text(container.text().size());
      return container.text().find(item.text()) != std::string::npos;
    case Kind::dict:
      return container.as<Dict>().find(runtime_, item) != nullptr;
    case Kind::view:
      if (container.as<DictView>().part == DictView::keys) {
        return container.as<DictView>().dict->find(runtime_, item) != nullptr;
      }
      break;
    default:
      break;
  }
  if (!iterable(container)) fail(fmt::format("argument of type '{}' is not iterable", type_name(container)));
  Iterator& source = iterate(container);
  for (Value each; source.next(*this, each);) {
    runtime_.charge(1);
    if (each.kind() == item.kind() && each.identity() && each.identity() == item.identity()) return true;
    if (equal(runtime_, each, item)) return true;
  }
  return false;
}

}  // namespace nuri::jinja
