#include "text/jinja/value.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>

#include "text/jinja/codepoints.h"
#include "text/jinja/interpreter.h"

namespace nuri::jinja {

Value Value::boolean(bool b) {
  Value value(Kind::boolean);
  value.scalar_.integer = b ? 1 : 0;
  return value;
}

Value Value::integer(int64_t i) {
  Value value(Kind::integer);
  value.scalar_.integer = i;
  return value;
}

Value Value::real(double d) {
  Value value(Kind::real);
  value.scalar_.real = d;
  return value;
}

Value Value::string(std::string text, bool markup) {
  Value value(Kind::string);
  value.text_ = std::make_shared<const std::string>(std::move(text));
  value.markup_ = markup;
  return value;
}

Value Value::undefined(std::string hint) {
  Value value(Kind::undefined);
  value.text_ = std::make_shared<const std::string>(std::move(hint));
  return value;
}

Value Value::object(Kind kind, Object* object) {
  Value value(kind);
  value.scalar_.object = object;
  return value;
}

int64_t RangeObject::size() const {
  __int128 span = step > 0 ? static_cast<__int128>(stop) - start : static_cast<__int128>(start) - stop;
  if (span <= 0) return 0;
  __int128 stride = step > 0 ? step : -static_cast<__int128>(step);
  __int128 count = (span + stride - 1) / stride;
  return count > INT64_MAX ? INT64_MAX : static_cast<int64_t>(count);
}

// ---- dict

const Dict::Entry* Dict::search(Runtime& runtime, const Value& key) const {
  size_t wanted = hash(runtime, key);  // also refuses unhashable keys
  if (entries_.size() > kIndexed) {
    auto [begin, end] = index_.equal_range(wanted);
    for (auto it = begin; it != end; ++it) {
      runtime.charge(1);
      if (equal(runtime, entries_[it->second].first, key)) return &entries_[it->second];
    }
    return nullptr;
  }
  for (const Entry& entry : entries_) {
    if (equal(runtime, entry.first, key)) return &entry;
  }
  return nullptr;
}

const Value* Dict::find(Runtime& runtime, const Value& key) const {
  const Entry* entry = search(runtime, key);
  return entry ? &entry->second : nullptr;
}

const Value* Dict::find(std::string_view key) const {
  if (entries_.size() > kIndexed) {
    auto [begin, end] = index_.equal_range(std::hash<std::string_view>{}(key));
    for (auto it = begin; it != end; ++it) {
      const Entry& entry = entries_[it->second];
      if (entry.first.is(Kind::string) && entry.first.text() == key) return &entry.second;
    }
    return nullptr;
  }
  for (const Entry& entry : entries_) {
    if (entry.first.is(Kind::string) && entry.first.text() == key) return &entry.second;
  }
  return nullptr;
}

void Dict::set(Runtime& runtime, Value key, Value value) {
  if (const Entry* entry = search(runtime, key)) {
    entries_[static_cast<size_t>(entry - entries_.data())].second = std::move(value);
    return;
  }
  runtime.charge_items(2);
  entries_.emplace_back(std::move(key), std::move(value));
  if (entries_.size() == kIndexed + 1) {
    for (uint32_t i = 0; i < entries_.size(); ++i) index_.emplace(hash(runtime, entries_[i].first), i);
  } else if (entries_.size() > kIndexed) {
    index_.emplace(hash(runtime, entries_.back().first), static_cast<uint32_t>(entries_.size() - 1));
  }
}

// ---- making values

Value make_string(Runtime& runtime, std::string text, bool markup) {
  runtime.charge_text(text.size());
  return Value::string(std::move(text), markup);
}

Value make_list(Runtime& runtime, std::vector<Value> items) {
  runtime.charge_items(items.size());
  List* list = runtime.make<List>();
  list->items = std::move(items);
  return Value::object(Kind::list, list);
}

Value make_tuple(Runtime& runtime, std::vector<Value> items) {
  runtime.charge_items(items.size());
  List* list = runtime.make<List>();
  list->items = std::move(items);
  return Value::object(Kind::tuple, list);
}

Dict& make_dict(Runtime& runtime, Value& out) {
  Dict* dict = runtime.make<Dict>();
  out = Value::object(Kind::dict, dict);
  return *dict;
}

namespace {

std::string checked_text(const std::string& text) {
  if (!valid_utf8(text)) fail(ErrorKind::usage, "a text given to the template is not UTF-8");
  return text;
}

}  // namespace

Value from_json(Runtime& runtime, const Json& json) {
  Runtime::Level level(runtime);
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::integer(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
        fail(ErrorKind::unsupported, fmt::format("integer {} is beyond 64 bits", json.get<uint64_t>()));
      }
      return Value::integer(json.get<int64_t>());
    case Json::value_t::number_float:
      return Value::real(json.get<double>());
    case Json::value_t::string:
      return Value::string(checked_text(json.get_ref<const std::string&>()));
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(from_json(runtime, item));
      return make_list(runtime, std::move(items));
    }
    case Json::value_t::object: {
      Value out;
      Dict& dict = make_dict(runtime, out);
      for (auto& [key, item] : json.items()) {
        dict.set(runtime, Value::string(checked_text(key)), from_json(runtime, item));
      }
      return out;
    }
    default:
      return Value::none();
  }
}

// ---- truth, equality, order

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::string:
      return value.is_markup() ? "Markup" : "str";
    case Kind::list:
      return "list";
    case Kind::tuple:
      return "tuple";
    case Kind::dict:
      return "dict";
    case Kind::range:
      return "range";
    case Kind::view: {
      constexpr std::string_view kNames[] = {"dict_keys", "dict_values", "dict_items"};
      return kNames[value.as<DictView>().part];
    }
    case Kind::iterator:
      return "generator";
    case Kind::name_space:
      return "Namespace";
    case Kind::callable:
      return "function";
    case Kind::cycler:
      return "Cycler";
  }
  return "object";
}

bool truthy(Interpreter& interpreter, const Value& value) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
    case Kind::integer:
      return value.integer() != 0;
    case Kind::real:
      return value.real() != 0;
    case Kind::string:
      return !value.text().empty();
    case Kind::list:
    case Kind::tuple:
      return !value.as<List>().items.empty();
    case Kind::dict:
      return value.as<Dict>().size() > 0;
    case Kind::range:
      return value.as<RangeObject>().size() > 0;
    case Kind::view:
      return value.as<DictView>().dict->size() > 0;
    case Kind::callable:
      return value.as<Callable>().size(interpreter) != 0;
    default:
      return true;
  }
}

namespace {

bool equal_items(Runtime& runtime, const std::vector<Value>& a, const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!equal(runtime, a[i], b[i])) return false;
  }
  return true;
}

bool equal_dicts(Runtime& runtime, const Dict& a, const Dict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, item] : a.entries()) {
    const Value* other = b.find(runtime, key);
    if (!other || !equal(runtime, item, *other)) return false;
  }
  return true;
}

bool equal_ranges(const RangeObject& a, const RangeObject& b) {
  int64_t size = a.size();
  if (size != b.size()) return false;
  return size == 0 || (a.start == b.start && (size == 1 || a.step == b.step));
}

}  // namespace

bool equal(Runtime& runtime, const Value& a, const Value& b) {
  runtime.charge(1);
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.integer() == b.integer();
    return a.real() == b.real();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::undefined:
    case Kind::none:
      return true;
    case Kind::string:
      runtime.charge_text(std::min(a.text().size(), b.text().size()));
      return a.text() == b.text();
    case Kind::list:
    case Kind::tuple: {
      Runtime::Level level(runtime);
      return a.identity() == b.identity() || equal_items(runtime, a.as<List>().items, b.as<List>().items);
    }
    case Kind::dict: {
      Runtime::Level level(runtime);
      return a.identity() == b.identity() || equal_dicts(runtime, a.as<Dict>(), b.as<Dict>());
    }
    case Kind::range:
      return equal_ranges(a.as<RangeObject>(), b.as<RangeObject>());
    default:
      return a.identity() == b.identity();
  }
}

bool less(Runtime& runtime, const Value& a, const Value& b, std::string_view operation) {
  runtime.charge(1);
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.integer() < b.integer();
    return a.real() < b.real();
  }
  if (a.is(Kind::undefined) || b.is(Kind::undefined)) fail((a.is(Kind::undefined) ? a : b).text());
  if (a.is(Kind::string) && b.is(Kind::string)) return a.text() < b.text();
  if (a.kind() == b.kind() && (a.is(Kind::list) || a.is(Kind::tuple))) {
    Runtime::Level level(runtime);
    const std::vector<Value>&x = a.as<List>().items, &y = b.as<List>().items;
    for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!equal(runtime, x[i], y[i])) return less(runtime, x[i], y[i], operation);
    }
    return x.size() < y.size();
  }
  fail(fmt::format("'{}' not supported between instances of '{}' and '{}'", operation, type_name(a), type_name(b)));
}

size_t hash(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
      return std::hash<double>{}(value.real());
    case Kind::string:
      runtime.charge_text(value.text().size());
      return std::hash<std::string_view>{}(value.text());
    case Kind::tuple: {
      Runtime::Level level(runtime);
      size_t combined = 0x9E3779B9u;
      for (const Value& item : value.as<List>().items) combined = combined * 31 + hash(runtime, item);
      return combined;
    }
    case Kind::list:
    case Kind::dict:
      fail(fmt::format("unhashable type: '{}'", type_name(value)));
    case Kind::none:
    case Kind::undefined:
      return static_cast<size_t>(value.kind());
    case Kind::range:
      return static_cast<size_t>(value.as<RangeObject>().size());
    default:
      return std::hash<const void*>{}(value.identity());
  }
}

}  // namespace nuri::jinja
