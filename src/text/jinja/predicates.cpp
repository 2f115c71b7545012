#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "text/jinja/arguments.h"
#include "text/jinja/codepoints.h"
#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/library.h"
#include "text/jinja/operators.h"

// The tests behind `is`.
namespace nuri::jinja {
namespace {

template <Kind... Kinds>
bool is_kind(Interpreter&, const Value& value, const CallArguments& arguments) {
  Bound("test", arguments, {});
  return (value.is(Kinds) || ...);
}

bool is_defined(Interpreter&, const Value& value, const CallArguments& arguments) {
  Bound("defined", arguments, {});
  return !value.is(Kind::undefined);
}

template <bool Wanted>
bool is_truth(Interpreter&, const Value& value, const CallArguments& arguments) {
  Bound("test", arguments, {});
  return value.is(Kind::boolean) && (value.integer() != 0) == Wanted;
}

bool is_callable(Interpreter&, const Value& value, const CallArguments& arguments) {
  Bound("callable", arguments, {});
  return value.is(Kind::callable) || value.is(Kind::undefined);  // jinja2.Undefined has __call__
}

bool is_iterable(Interpreter& interpreter, const Value& value, const CallArguments& arguments) {
  Bound("iterable", arguments, {});
  return interpreter.iterable(value);
}

// Has a length and items to subscribe; Undefined has no items.
bool is_sequence(Interpreter&, const Value& value, const CallArguments& arguments) {
  Bound("sequence", arguments, {});
  return value.is(Kind::string) || value.is(Kind::list) || value.is(Kind::tuple) || value.is(Kind::dict) ||
         value.is(Kind::range) || value.is(Kind::undefined);
}

template <int64_t Rest>
bool has_parity(Interpreter& interpreter, const Value& value, const CallArguments& arguments) {
  Bound("test", arguments, {});
  return equal(interpreter.runtime(), binary(interpreter, "%", value, Value::integer(2)), Value::integer(Rest));
}

bool is_divisible(Interpreter& interpreter, const Value& value, const CallArguments& arguments) {
  Bound bound("divisibleby", arguments, {"num"}, 1);
  return equal(interpreter.runtime(), binary(interpreter, "%", value, bound[0]), Value::integer(0));
}

template <bool Upper>
bool is_cased(Interpreter& interpreter, const Value& value, const CallArguments& arguments) {
  Bound("test", arguments, {});
  return has_case(interpreter.str(value), Upper);
}

bool is_same(Interpreter& interpreter, const Value& value, const CallArguments& arguments) {
  Bound bound("sameas", arguments, {"other"}, 1);
  const Value& other = bound[0];
  if (value.kind() != other.kind()) return false;
  if (value.is(Kind::none)) return true;
  if (value.is(Kind::boolean)) return value.integer() == other.integer();
  // CPython keeps one object for each small integer.
  if (value.is(Kind::integer)) {
    return value.integer() == other.integer() && value.integer() >= -5 && value.integer() <= 256;
  }
  return !value.is_number() && value.identity() == other.identity();
}

bool is_in(Interpreter& interpreter, const Value& value, const CallArguments& arguments) {
  Bound bound("in", arguments, {"seq"}, 1);
  return interpreter.contains(bound[0], value);
}

bool is_escaped(Interpreter&, const Value& value, const CallArguments& arguments) {
  Bound("escaped", arguments, {});
  return value.is_markup();
}

bool is_filter(Interpreter&, const Value& value, const CallArguments& arguments) {
  Bound("filter", arguments, {});
  return value.is(Kind::string) && find_filter(value.text());
}

bool is_test(Interpreter&, const Value& value, const CallArguments& arguments) {
  Bound("test", arguments, {});
  return value.is(Kind::string) && find_test(value.text());
}

template <char First, char Second>
bool compares(Interpreter& interpreter, const Value& value, const CallArguments& arguments) {
  Bound bound("comparison", arguments, {"/other"}, 1);
  constexpr char kSign[] = {First, Second};
  return compare(interpreter, std::string_view(kSign, Second ? 2 : 1), value, bound[0]);
}

constexpr auto equals = compares<'=', '='>;
constexpr auto differs = compares<'!', '='>;
constexpr auto is_greater = compares<'>', 0>;
constexpr auto is_less = compares<'<', 0>;
constexpr auto at_least = compares<'>', '='>;
constexpr auto at_most = compares<'<', '='>;

constexpr TestEntry kTests[] = {
    {"!=", differs},
    {"<", is_less},
    {"<=", at_most},
    {"==", equals},
    {">", is_greater},
    {">=", at_least},
    {"boolean", is_kind<Kind::boolean>},
    {"callable", is_callable},
    {"defined", is_defined},
    {"divisibleby", is_divisible},
    {"eq", equals},
    {"equalto", equals},
    {"escaped", is_escaped},
    {"even", has_parity<0>},
    {"false", is_truth<false>},
    {"filter", is_filter},
    {"float", is_kind<Kind::real>},
    {"ge", at_least},
    {"greaterthan", is_greater},
    {"gt", is_greater},
    {"in", is_in},
    {"integer", is_kind<Kind::integer>},
    {"iterable", is_iterable},
    {"le", at_most},
    {"lessthan", is_less},
    {"lower", is_cased<false>},
    {"lt", is_less},
    {"mapping", is_kind<Kind::dict>},
    {"ne", differs},
    {"none", is_kind<Kind::none>},
    {"number", is_kind<Kind::boolean, Kind::integer, Kind::real>},
    {"odd", has_parity<1>},
    {"sameas", is_same},
    {"sequence", is_sequence},
    {"string", is_kind<Kind::string>},
    {"test", is_test},
    {"true", is_truth<true>},
    {"undefined", is_kind<Kind::undefined>},
    {"upper", is_cased<true>},
};

}  // namespace

const TestEntry* find_test(std::string_view name) {
  const TestEntry* found = std::lower_bound(std::begin(kTests), std::end(kTests), name,
                                            [](const TestEntry& e, std::string_view n) { return e.name < n; });
  return found != std::end(kTests) && found->name == name ? found : nullptr;
}

}  // namespace nuri::jinja
