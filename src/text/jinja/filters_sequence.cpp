#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "text/jinja/arguments.h"
#include "text/jinja/codepoints.h"
#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/operators.h"

// Filters on sequences and mappings. Those that are generators in Python are iterators here: they do
// nothing, and fail at nothing, before their first item is wanted.
namespace nuri::jinja {
namespace {

// ---- attributes of items: "a.b.0"

class AttributePath {
 public:
  AttributePath() = default;
  AttributePath(const Value& attribute, const Value& fallback) : fallback_(fallback) {
    if (attribute.is(Kind::none)) return;
    if (!attribute.is(Kind::string)) {
      parts_.push_back(attribute);
      return;
    }
    std::string_view rest = attribute.text();
    while (true) {
      size_t dot = std::min(rest.find('.'), rest.size());
      std::string part(rest.substr(0, dot));
      bool number = !part.empty() && part.size() < 18 && part.find_first_not_of("0123456789") == std::string::npos;
      parts_.push_back(number ? Value::integer(std::stoll(part)) : Value::string(part));
      if (dot == rest.size()) break;
      rest.remove_prefix(dot + 1);
    }
  }

  Value get(Interpreter& interpreter, Value item) const {
    for (const Value& part : parts_) {
      item = interpreter.item(item, part);
      if (item.is(Kind::undefined) && !fallback_.is(Kind::none)) item = fallback_;
    }
    return item;
  }

 private:
  std::vector<Value> parts_;
  Value fallback_ = Value::none();
};

Value without_case(Interpreter& interpreter, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is(Kind::string)) return value;
  return make_string(interpreter.runtime(), lower(value.text()));
}

bool flag(Interpreter& interpreter, const Bound& bound, size_t i) {
  return bound.has(i) && truthy(interpreter, bound[i]);
}

// ---- lazy sources

// Items that are made together when the first is wanted.
class Deferred : public Iterator {
 public:
  std::function<std::vector<Value>(Interpreter&)> make;

  bool next(Interpreter& interpreter, Value& out) override {
    Runtime::Level level(interpreter.runtime());
    if (make) {
      auto maker = std::move(make);
      make = nullptr;
      items_ = maker(interpreter);
    }
    if (at_ >= items_.size()) return false;
    out = items_[at_++];
    return true;
  }

 private:
  std::vector<Value> items_;
  size_t at_ = 0;
};

Value deferred(Interpreter& interpreter, std::function<std::vector<Value>(Interpreter&)> make) {
  Deferred* iterator = interpreter.runtime().make<Deferred>();
  iterator->make = std::move(make);
  return Value::object(Kind::iterator, iterator);
}

// A source of the items of `input` that prepares itself at the first one.
class Transformed : public Iterator {
 public:
  Value input;
  CallArguments arguments;

  bool next(Interpreter& interpreter, Value& out) override {
    Runtime::Level level(interpreter.runtime());
    if (!started_) {
      started_ = true;
      if (truthy(interpreter, input)) {
        prepare(interpreter);
        source_ = &interpreter.iterate(input);
      }
    }
    for (Value item; source_ && source_->next(interpreter, item);) {
      interpreter.runtime().charge(1);
      if (pass(interpreter, item, out)) return true;
    }
    return false;
  }

 protected:
  virtual void prepare(Interpreter& interpreter) = 0;
  // What becomes of an item; false drops it.
  virtual bool pass(Interpreter& interpreter, const Value& item, Value& out) = 0;

 private:
  bool started_ = false;
  Iterator* source_ = nullptr;
};

class Mapped : public Transformed {
 protected:
  void prepare(Interpreter& interpreter) override {
    auto keyword = [&](const char* name) -> const Value* {
      for (const auto& [known, value] : arguments.keywords) {
        if (known == name) return &value;
      }
      return nullptr;
    };
    if (arguments.positional.empty() && keyword("attribute")) {
      const Value* fallback = keyword("default");
      if (arguments.keywords.size() > (fallback ? 2u : 1u)) fail("map got an unexpected keyword argument");
      path_ = AttributePath(*keyword("attribute"), fallback ? *fallback : Value::none());
      return;
    }
    if (arguments.positional.empty()) fail("map requires a filter argument");
    const Value& name = arguments.positional[0];
    filter_ = name.is(Kind::string) ? find_filter(name.text()) : nullptr;
    if (!filter_) fail(fmt::format("no filter named '{}'", interpreter.str(name)));
    arguments.positional.erase(arguments.positional.begin());
  }

  bool pass(Interpreter& interpreter, const Value& item, Value& out) override {
    out = filter_ ? filter_->apply(interpreter, item, arguments) : path_.get(interpreter, item);
    return true;
  }

 private:
  const FilterEntry* filter_ = nullptr;
  AttributePath path_;
};

class Selected : public Transformed {
 public:
  bool keep = true;  // what the test must answer
  bool by_attribute = false;

 protected:
  void prepare(Interpreter& interpreter) override {
    std::vector<Value>& given = arguments.positional;
    if (by_attribute) {
      if (given.empty()) fail("missing parameter for attribute name");
      path_ = AttributePath(given[0], Value::none());
      given.erase(given.begin());
    }
    if (given.empty()) return;
    test_ = given[0].is(Kind::string) ? find_test(given[0].text()) : nullptr;
    if (!test_) fail(fmt::format("no test named '{}'", interpreter.str(given[0])));
    given.erase(given.begin());
  }

  bool pass(Interpreter& interpreter, const Value& item, Value& out) override {
    Value subject = by_attribute ? path_.get(interpreter, item) : item;
    bool holds = test_ ? test_->holds(interpreter, subject, arguments) : truthy(interpreter, subject);
    if (holds == keep) out = item;
    return holds == keep;
  }

 private:
  const TestEntry* test_ = nullptr;
  AttributePath path_;
};

Value map_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Mapped* mapped = interpreter.runtime().make<Mapped>();
  mapped->input = input;
  mapped->arguments = arguments;
  return Value::object(Kind::iterator, mapped);
}

template <bool Keep, bool ByAttribute>
Value select_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Selected* selected = interpreter.runtime().make<Selected>();
  selected->input = input;
  selected->arguments = arguments;
  selected->keep = Keep;
  selected->by_attribute = ByAttribute;
  return Value::object(Kind::iterator, selected);
}

// ---- ends and order

Value first_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("first", arguments, {});
  Value item;
  return interpreter.iterate(input).next(interpreter, item) ? item
                                                            : Value::undefined("no first item, the sequence is empty");
}

bool reversible(const Interpreter& interpreter, const Value& value) {
  return interpreter.iterable(value) && value.kind() != Kind::iterator;
}

Value last_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("last", arguments, {});
  if (!reversible(interpreter, input)) fail(fmt::format("'{}' object is not reversible", type_name(input)));
  std::vector<Value> items = interpreter.collect(input);
  return items.empty() ? Value::undefined("no last item, the sequence is empty") : items.back();
}

Value reverse_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("reverse", arguments, {});
  std::vector<Value> items = interpreter.collect(input);
  std::reverse(items.begin(), items.end());
  if (input.is(Kind::string)) {
    std::string text;
    for (const Value& item : items) text += item.text();
    return make_string(interpreter.runtime(), std::move(text), input.is_markup());
  }
  if (!reversible(interpreter, input)) return make_list(interpreter.runtime(), std::move(items));
  return deferred(interpreter, [items = std::move(items)](Interpreter&) { return items; });
}

// Sorts by keys made once, stable in both directions as Python's sorted().
std::vector<Value> sorted(Interpreter& interpreter, const std::vector<Value>& items,
                          const std::function<Value(const Value&)>& key, bool reverse) {
  std::vector<std::pair<Value, size_t>> keyed;
  for (size_t i = 0; i < items.size(); ++i) keyed.emplace_back(key(items[i]), i);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return reverse ? less(interpreter.runtime(), b.first, a.first) : less(interpreter.runtime(), a.first, b.first);
  });
  std::vector<Value> out;
  for (const auto& [unused, i] : keyed) out.push_back(items[i]);
  return out;
}

Value sort_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  bool case_sensitive = flag(interpreter, bound, 1);
  std::vector<AttributePath> paths;
  if (bound.has(2) && bound[2].is(Kind::string)) {
    std::string_view rest = bound[2].text();
    for (bool more = true; more;) {
      size_t comma = std::min(rest.find(','), rest.size());
      paths.emplace_back(Value::string(std::string(rest.substr(0, comma))), Value::none());
      more = comma < rest.size();
      if (more) rest.remove_prefix(comma + 1);
    }
  } else {
    paths.emplace_back(bound.or_none(2), Value::none());
  }
  auto key = [&](const Value& item) {
    std::vector<Value> keys;
    for (const AttributePath& path : paths) {
      keys.push_back(without_case(interpreter, path.get(interpreter, item), case_sensitive));
    }
    return make_list(interpreter.runtime(), std::move(keys));
  };
  return make_list(interpreter.runtime(),
                   sorted(interpreter, interpreter.collect(input), key, flag(interpreter, bound, 0)));
}

Value dict_sort(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  std::string by = bound.text(1, "key");
  if (by != "key" && by != "value") fail("you can only sort by either 'key' or 'value'");
  if (!input.is(Kind::dict)) fail(fmt::format("dictsort needs a mapping, found '{}'", type_name(input)));
  bool case_sensitive = flag(interpreter, bound, 0);
  std::vector<Value> pairs;
  for (const auto& [key, value] : input.as<Dict>().entries()) {
    pairs.push_back(make_tuple(interpreter.runtime(), {key, value}));
  }
  auto key = [&](const Value& pair) {
    return without_case(interpreter, pair.as<List>().items[by == "key" ? 0 : 1], case_sensitive);
  };
  return make_list(interpreter.runtime(), sorted(interpreter, pairs, key, flag(interpreter, bound, 2)));
}

Value unique_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("unique", arguments, {"case_sensitive", "attribute"});
  AttributePath path(bound.or_none(1), Value::none());
  bool case_sensitive = flag(interpreter, bound, 0);
  return deferred(interpreter, [=](Interpreter& running) {
    Value keys;
    Dict& seen = make_dict(running.runtime(), keys);
    std::vector<Value> out;
    for (const Value& item : running.collect(input)) {
      Value key = without_case(running, path.get(running, item), case_sensitive);
      if (seen.find(running.runtime(), key)) continue;
      seen.set(running.runtime(), key, Value::none());
      out.push_back(item);
    }
    return out;
  });
}

// ---- folding

template <bool Max>
Value extreme(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound(Max ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  AttributePath path(bound.or_none(1), Value::none());
  bool case_sensitive = flag(interpreter, bound, 0);
  Value best, best_key;
  for (const Value& item : interpreter.collect(input)) {
    Value key = without_case(interpreter, path.get(interpreter, item), case_sensitive);
    bool better = best.is(Kind::missing) ||
                  (Max ? less(interpreter.runtime(), best_key, key, ">") : less(interpreter.runtime(), key, best_key));
    if (!better) continue;
    best = item;
    best_key = key;
  }
  return best.is(Kind::missing) ? Value::undefined("no aggregated item, the sequence is empty") : best;
}

Value sum_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("sum", arguments, {"attribute", "start"});
  AttributePath path(bound.or_none(0), Value::none());
  Value total = bound.has(1) ? bound[1] : Value::integer(0);
  if (total.is(Kind::string)) fail("sum() can't sum strings");
  for (const Value& item : interpreter.collect(input)) {
    total = binary(interpreter, "+", total, path.get(interpreter, item));
  }
  return total;
}

Value join_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("join", arguments, {"d", "attribute"});
  AttributePath path(bound.or_none(1), Value::none());
  std::string separator = bound.has(0) ? interpreter.str(bound[0]) : "";
  Runtime& runtime = interpreter.runtime();
  std::string out;
  bool first = true;
  Iterator& source = interpreter.iterate(input);
  for (Value item; source.next(interpreter, item);) {
    std::string part = interpreter.str(path.get(interpreter, item));
    if (!first) part.insert(0, separator);
    first = false;
    runtime.charge(1);
    runtime.charge_text(out.size() + part.size() > runtime.limits().output_bytes ? out.size() + part.size()
                                                                                 : part.size());
    out += part;
  }
  return Value::string(std::move(out));
}

// ---- regrouping

Value list_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("list", arguments, {});
  return make_list(interpreter.runtime(), interpreter.collect(input));
}

Value items_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound("items", arguments, {});
  return deferred(interpreter, [input](Interpreter& running) {
    std::vector<Value> out;
    if (input.is(Kind::undefined)) return out;
    if (!input.is(Kind::dict)) fail("can only get item pairs from a mapping");
    for (const auto& [key, value] : input.as<Dict>().entries())
      out.push_back(make_tuple(running.runtime(), {key, value}));
    return out;
  });
}

Value batch(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("batch", arguments, {"linecount", "fill_with"}, 1);
  Value size = bound[0], fill = bound.or_none(1);
  return deferred(interpreter, [=](Interpreter& running) {
    int64_t count = need_integer(size);
    std::vector<Value> out, line;
    auto flush = [&] { out.push_back(make_list(running.runtime(), std::exchange(line, {}))); };
    for (const Value& item : running.collect(input)) {
      if (static_cast<int64_t>(line.size()) == count) flush();
      line.push_back(item);
    }
    if (line.empty()) return out;
    auto missing = count - static_cast<int64_t>(line.size());
    if (!fill.is(Kind::none) && missing > 0) {
      running.runtime().charge_items(static_cast<uint64_t>(missing));
      line.resize(static_cast<size_t>(count), fill);
    }
    flush();
    return out;
  });
}

Value slice_filter(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("slice", arguments, {"slices", "fill_with"}, 1);
  Value number = bound[0], fill = bound.or_none(1);
  return deferred(interpreter, [=](Interpreter& running) {
    std::vector<Value> items = running.collect(input), out;
    int64_t slices = need_integer(number), size = static_cast<int64_t>(items.size());
    if (slices == 0) fail("integer division or modulo by zero");
    if (slices < 0) return out;
    running.runtime().charge_items(static_cast<uint64_t>(slices));
    int64_t each = size / slices, extra = size % slices, at = 0;
    for (int64_t i = 0; i < slices; ++i) {
      int64_t end = at + each + (i < extra ? 1 : 0);
      std::vector<Value> part(items.begin() + at, items.begin() + end);
      if (!fill.is(Kind::none) && i >= extra) part.push_back(fill);
      out.push_back(make_list(running.runtime(), std::move(part)));
      at = end;
    }
    return out;
  });
}

Value group_by(Interpreter& interpreter, const Value& input, const CallArguments& arguments) {
  Bound bound("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  AttributePath path(bound[0], bound.or_none(1));
  bool case_sensitive = flag(interpreter, bound, 2);
  auto key = [&](const Value& item) { return without_case(interpreter, path.get(interpreter, item), case_sensitive); };
  std::vector<Value> items = sorted(interpreter, interpreter.collect(input), key, false), out;
  for (size_t i = 0; i < items.size();) {
    Value group_key = key(items[i]);
    std::vector<Value> members;
    size_t first = i;
    for (; i < items.size() && equal(interpreter.runtime(), key(items[i]), group_key); ++i) members.push_back(items[i]);
    Group* group = interpreter.runtime().make<Group>();
    group->items = {path.get(interpreter, items[first]), make_list(interpreter.runtime(), std::move(members))};
    out.push_back(Value::object(Kind::tuple, group));
    if (i == first) ++i;  // a key that differs from itself, such as NaN
  }
  return make_list(interpreter.runtime(), std::move(out));
}

constexpr FilterEntry kSequenceFilters[] = {
    {"map", map_filter},
    {"select", select_filter<true, false>},
    {"reject", select_filter<false, false>},
    {"selectattr", select_filter<true, true>},
    {"rejectattr", select_filter<false, true>},
    {"first", first_filter},
    {"last", last_filter},
    {"reverse", reverse_filter},
    {"sort", sort_filter},
    {"dictsort", dict_sort},
    {"unique", unique_filter},
    {"min", extreme<false>},
    {"max", extreme<true>},
    {"sum", sum_filter},
    {"join", join_filter},
    {"list", list_filter},
    {"items", items_filter},
    {"batch", batch},
    {"slice", slice_filter},
    {"groupby", group_by},
};

}  // namespace

FilterTable sequence_filters() { return {kSequenceFilters, std::size(kSequenceFilters)}; }

}  // namespace nuri::jinja
