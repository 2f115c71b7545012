#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/config_reader.h"
#include "text/jinja/runtime.h"

// The values of a template: Python's types as far as templates meet them.
namespace nuri::jinja {

class Interpreter;

enum class Kind : uint8_t {
  missing,    // a variable that was never set; only in scopes
  undefined,  // jinja2.Undefined: prints as nothing, fails on use
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  dict,
  range,
  view,        // dict.keys(), .values(), .items()
  iterator,    // generators: what map, select and their kind give
  name_space,  // namespace()
  callable,
  cycler,
};

// Strings are shared; all other objects belong to the Heap of one rendering, so a Value is cheap to copy,
// cycles through namespaces are harmless and nothing is destroyed recursively.
class Value {
 public:
  Value() = default;  // missing

  static Value none() { return Value(Kind::none); }
  static Value boolean(bool b);
  static Value integer(int64_t i);
  static Value real(double d);
  static Value string(std::string text, bool markup = false);
  // `hint` is the message of the error that using the value raises.
  static Value undefined(std::string hint);
  static Value object(Kind kind, Object* object);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_number() const { return kind_ == Kind::boolean || kind_ == Kind::integer || kind_ == Kind::real; }
  // True for int and its subclass bool; their number is integer().
  bool is_integral() const { return kind_ == Kind::boolean || kind_ == Kind::integer; }
  // A string marked safe by `safe` or `escape`.
  bool is_markup() const { return markup_; }

  int64_t integer() const { return scalar_.integer; }
  double real() const { return kind_ == Kind::real ? scalar_.real : static_cast<double>(scalar_.integer); }
  const std::string& text() const { return *text_; }
  const void* identity() const { return text_ ? static_cast<const void*>(text_.get()) : scalar_.object; }
  template <class T>
  T& as() const {
    return *static_cast<T*>(scalar_.object);
  }

 private:
  explicit Value(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::missing;
  bool markup_ = false;
  union {
    int64_t integer;
    double real;
    Object* object;
  } scalar_ = {0};
  std::shared_ptr<const std::string> text_;
};

// A list or a tuple. Templates cannot change one, so it is complete when made.
struct List : Object {
  std::vector<Value> items;
};

// What groupby gives: a tuple whose items have the names grouper and list.
struct Group : List {};

// Insertion-ordered, keys compared as Python compares them (1 == 1.0 == True).
class Dict : public Object {
 public:
  using Entry = std::pair<Value, Value>;
  const Value* find(Runtime& runtime, const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(Runtime& runtime, Value key, Value value);
  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }

 private:
  static constexpr size_t kIndexed = 8;  // smaller ones are searched in order
  const Entry* search(Runtime& runtime, const Value& key) const;

  std::vector<Entry> entries_;
  std::unordered_multimap<size_t, uint32_t> index_;
};

struct RangeObject : Object {
  int64_t start = 0, stop = 0, step = 1;
  int64_t size() const;
  // Wraps around at the ends of 64 bits; the indices that exist never reach them.
  int64_t at(int64_t index) const {
    return static_cast<int64_t>(static_cast<uint64_t>(start) +
                                static_cast<uint64_t>(index) * static_cast<uint64_t>(step));
  }
};

struct DictView : Object {
  enum Part { keys, values, items } part = keys;
  const Dict* dict = nullptr;
};

struct Namespace : Object {
  Dict attributes;
};

struct Cycler : Object {
  std::vector<Value> items;
  size_t position = 0;
};

// A source of values that is consumed once, as a Python generator.
class Iterator : public Object {
 public:
  // False at the end, and from then on.
  virtual bool next(Interpreter& interpreter, Value& out) = 0;
};

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;
};

class Callable : public Object {
 public:
  virtual Value call(Interpreter& interpreter, const CallArguments& arguments) = 0;
  // An attribute such as macro.name or loop.index; Kind::missing when there is none.
  virtual Value attribute(Interpreter&, std::string_view) { return {}; }
  virtual std::string repr() const = 0;
  // Python's len(), which `loop` has; -1 for what has none.
  virtual int64_t size(Interpreter&) { return -1; }
};

// "str", "list", "NoneType", ... as Python's messages name types.
std::string_view type_name(const Value& value);

bool truthy(Interpreter& interpreter, const Value& value);
// Python's ==. Recursion is bounded by the runtime.
bool equal(Runtime& runtime, const Value& a, const Value& b);
// Python's <; fails with a TypeError for values without an order.
bool less(Runtime& runtime, const Value& a, const Value& b, std::string_view operation = "<");
size_t hash(Runtime& runtime, const Value& value);

Value make_string(Runtime& runtime, std::string text, bool markup = false);
Value make_list(Runtime& runtime, std::vector<Value> items);
Value make_tuple(Runtime& runtime, std::vector<Value> items);
Dict& make_dict(Runtime& runtime, Value& out);
// JSON as templates see it. Error(usage) for text that is not UTF-8.
Value from_json(Runtime& runtime, const Json& json);

}  // namespace nuri::jinja
