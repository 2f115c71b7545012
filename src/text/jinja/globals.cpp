#include <fmt/format.h>

#include <ctime>

#include "text/jinja/arguments.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"

// The functions that every template has.
namespace nuri::jinja {
namespace {

class Function : public Callable {
 public:
  std::string name;
  Method function = nullptr;
  Value self;

  Value call(Interpreter& interpreter, const CallArguments& arguments) override {
    return function(interpreter, self, arguments);
  }
  std::string repr() const override { return fmt::format("<function {}>", name); }
};

constexpr int64_t kMaxRange = 100'000;  // as Jinja's sandbox has it

Value range(Interpreter& interpreter, const Value&, const CallArguments& arguments) {
  Bound bound("range", arguments, {"/start", "/stop", "/step"}, 1);
  RangeObject* range = interpreter.runtime().make<RangeObject>();
  range->start = bound.has(1) ? need_integer(bound[0]) : 0;
  range->stop = need_integer(bound[bound.has(1) ? 1 : 0]);
  range->step = bound.integer(2, 1);
  if (range->step == 0) fail("range() arg 3 must not be zero");
  if (range->size() > kMaxRange) {
    fail(ErrorKind::resource, fmt::format("a range of {} numbers, at most {} are allowed", range->size(), kMaxRange));
  }
  return Value::object(Kind::range, range);
}

Value name_space(Interpreter& interpreter, const Value&, const CallArguments& arguments) {
  Namespace* made = interpreter.runtime().make<Namespace>();
  fill_dict(interpreter, made->attributes, arguments, "namespace");
  for (const auto& [key, value] : made->attributes.entries()) {
    if (key.is(Kind::string) && key.text().starts_with("_")) {
      fail(fmt::format("a namespace cannot hold '{}': it begins with an underscore", key.text()));
    }
  }
  return Value::object(Kind::name_space, made);
}

Value dict(Interpreter& interpreter, const Value&, const CallArguments& arguments) {
  Value out;
  fill_dict(interpreter, make_dict(interpreter.runtime(), out), arguments, "dict");
  return out;
}

Value dict_from_keys(Interpreter& interpreter, const Value&, const CallArguments& arguments) {
  Bound bound("fromkeys", arguments, {"/iterable", "/value"}, 1);
  Value out;
  Dict& made = make_dict(interpreter.runtime(), out);
  for (const Value& key : interpreter.collect(bound[0])) made.set(interpreter.runtime(), key, bound.or_none(1));
  return out;
}

class DictFunction : public Function {
 public:
  Value attribute(Interpreter& interpreter, std::string_view attribute) override {
    return attribute == "fromkeys" ? make_function(interpreter.runtime(), "fromkeys", dict_from_keys) : Value();
  }
};

class Joiner : public Callable {
 public:
  Value separator;
  bool used = false;

  Value call(Interpreter&, const CallArguments& arguments) override {
    Bound("joiner", arguments, {});
    return std::exchange(used, true) ? separator : Value::string("");
  }
  Value attribute(Interpreter&, std::string_view name) override {
    return name == "sep" ? separator : name == "used" ? Value::boolean(used) : Value();
  }
  std::string repr() const override { return "<Joiner object>"; }
};

Value joiner(Interpreter& interpreter, const Value&, const CallArguments& arguments) {
  Bound bound("joiner", arguments, {"sep"});
  Joiner* made = interpreter.runtime().make<Joiner>();
  made->separator = bound.has(0) ? bound[0] : Value::string(", ");
  return Value::object(Kind::callable, made);
}

Value cycler(Interpreter& interpreter, const Value&, const CallArguments& arguments) {
  if (arguments.positional.empty() || !arguments.keywords.empty()) fail("cycler() needs at least one item");
  Cycler* made = interpreter.runtime().make<Cycler>();
  made->items = arguments.positional;
  return Value::object(Kind::cycler, made);
}

Value raise_exception(Interpreter& interpreter, const Value&, const CallArguments& arguments) {
  Bound bound("raise_exception", arguments, {"message"}, 1);
  fail(ErrorKind::usage, "the template refuses this conversation: " + interpreter.str(bound[0]));
}

// What Python's strftime answers for a time without a zone, where C's would use the machine's.
std::string without_zone(std::string_view format) {
  std::string out;
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%' || at + 1 == format.size()) {
      out += format[at];
      continue;
    }
    char letter = format[++at];
    if (letter == 'f') {
      out += "000000";
    } else if (letter != 'z' && letter != 'Z') {
      out += {'%', letter};
    }
  }
  return out;
}

Value strftime_now(Interpreter& interpreter, const Value&, const CallArguments& arguments) {
  Bound bound("strftime_now", arguments, {"format"}, 1);
  std::string format = without_zone(need_text(bound[0]));
  if (format.empty()) return Value::string("");
  auto now = static_cast<std::time_t>(interpreter.now());
  std::tm time{};
  localtime_r(&now, &time);
  constexpr size_t kLongest = 1000;
  if (format.size() > kLongest) {
    fail(ErrorKind::resource,
         fmt::format("a date format of {} bytes, at most {} are allowed", format.size(), kLongest));
  }
  std::string out(format.size() * 64 + 64, '\0');
  out.resize(std::strftime(out.data(), out.size(), format.c_str(), &time));
  return make_string(interpreter.runtime(), std::move(out));
}

Value lorem_ipsum(Interpreter&, const Value&, const CallArguments&) {
  fail(ErrorKind::unsupported, "the function lipsum");
}

}  // namespace

Value make_function(Runtime& runtime, std::string name, Method function, Value self) {
  Function* made = name == "dict" ? runtime.make<DictFunction>() : runtime.make<Function>();
  made->name = std::move(name);
  made->function = function;
  made->self = std::move(self);
  return Value::object(Kind::callable, made);
}

Value find_global(Runtime& runtime, std::string_view name) {
  static constexpr std::pair<std::string_view, Method> kGlobals[] = {
      {"range", range},
      {"dict", dict},
      {"namespace", name_space},
      {"joiner", joiner},
      {"cycler", cycler},
      {"lipsum", lorem_ipsum},
      {"raise_exception", raise_exception},
      {"strftime_now", strftime_now},
  };
  for (const auto& [known, function] : kGlobals) {
    if (known == name) return make_function(runtime, std::string(name), function);
  }
  return {};
}

void fill_dict(Interpreter& interpreter, Dict& dict, const CallArguments& arguments, std::string_view callee) {
  Runtime& runtime = interpreter.runtime();
  if (arguments.positional.size() > 1) {
    fail(fmt::format("{}() takes at most 1 argument, {} were given", callee, arguments.positional.size()));
  }
  if (arguments.positional.size() == 1) {
    const Value& source = arguments.positional[0];
    if (source.is(Kind::dict)) {
      for (const auto& [key, value] : source.as<Dict>().entries()) dict.set(runtime, key, value);
    } else {
      for (const Value& pair : interpreter.collect(source)) {
        std::vector<Value> items = interpreter.collect(pair);
        if (items.size() != 2) fail(fmt::format("{}() needs pairs, found {} items", callee, items.size()));
        dict.set(runtime, items[0], items[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.keywords) dict.set(runtime, Value::string(name), value);
}

}  // namespace nuri::jinja
