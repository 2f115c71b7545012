#include "text/jinja/operators.h"

#include <fmt/format.h>

#include <cmath>

#include "text/jinja/arguments.h"
#include "text/jinja/interpreter.h"

namespace nuri::jinja {
namespace {

[[noreturn]] void unsupported_operands(std::string_view sign, const Value& a, const Value& b) {
  if (a.is(Kind::undefined) || b.is(Kind::undefined)) fail((a.is(Kind::undefined) ? a : b).text());
  fail(fmt::format("unsupported operand types for {}: '{}' and '{}'", sign, type_name(a), type_name(b)));
}

[[noreturn]] void overflow(std::string_view sign) {
  fail(ErrorKind::unsupported, fmt::format("the result of {} is beyond 64-bit integers", sign));
}

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == 0) fail("integer division or modulo by zero");
  if (b == -1) {
    if (a == INT64_MIN) overflow("//");
    return -a;
  }
  int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t floor_modulo(int64_t a, int64_t b) {
  if (b == 0) fail("integer division or modulo by zero");
  if (b == -1) return 0;
  int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

// CPython's float_divmod: the remainder takes the divisor's sign.
double real_modulo(double a, double b) {
  if (b == 0) fail("float modulo by zero");
  double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (b < 0) != (rest < 0) ? rest + b : rest;
}

double real_floor_divide(double a, double b) {
  if (b == 0) fail("float floor division by zero");
  double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0 && (b < 0) != (rest < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, a / b);
  double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

Value power(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral() && b.integer() >= 0) {
    int64_t base = a.integer(), result = 1;
    for (int64_t left = b.integer(); left > 0; left >>= 1) {
      if (left & 1 && __builtin_mul_overflow(result, base, &result)) overflow("**");
      if (left > 1 && __builtin_mul_overflow(base, base, &base)) overflow("**");
    }
    return Value::integer(result);
  }
  double x = a.real(), y = b.real();
  if (x == 0 && y < 0) fail("0.0 cannot be raised to a negative power");
  if (x < 0 && y != std::floor(y)) fail(ErrorKind::unsupported, "a complex result of **");
  double result = std::pow(x, y);
  if (std::isinf(result) && std::isfinite(x) && std::isfinite(y)) fail("the result of ** is too large");
  return Value::real(result);
}

Value integer_arithmetic(char sign, int64_t a, int64_t b) {
  int64_t result = 0;
  bool fits = sign == '+'   ? !__builtin_add_overflow(a, b, &result)
              : sign == '-' ? !__builtin_sub_overflow(a, b, &result)
                            : !__builtin_mul_overflow(a, b, &result);
  if (!fits) overflow(std::string_view(&sign, 1));
  return Value::integer(result);
}

Value number_arithmetic(std::string_view sign, const Value& a, const Value& b) {
  if (sign == "**") return power(a, b);
  bool whole = a.is_integral() && b.is_integral();
  double x = a.real(), y = b.real();
  if (sign == "/") {
    if (y == 0) fail("division by zero");
    return Value::real(x / y);
  }
  if (sign == "//") {
    return whole ? Value::integer(floor_divide(a.integer(), b.integer())) : Value::real(real_floor_divide(x, y));
  }
  if (sign == "%") {
    return whole ? Value::integer(floor_modulo(a.integer(), b.integer())) : Value::real(real_modulo(x, y));
  }
  if (whole) return integer_arithmetic(sign[0], a.integer(), b.integer());
  return Value::real(sign[0] == '+' ? x + y : sign[0] == '-' ? x - y : x * y);
}

bool is_sequence(const Value& value) { return value.is(Kind::string) || value.is(Kind::list) || value.is(Kind::tuple); }

Value repeat(Interpreter& interpreter, const Value& sequence, int64_t times) {
  Runtime& runtime = interpreter.runtime();
  uint64_t count = times > 0 ? static_cast<uint64_t>(times) : 0;
  if (sequence.is(Kind::string)) {
    const std::string& text = sequence.text();
    size_t bytes = 0;
    if (__builtin_mul_overflow(text.size(), count, &bytes)) bytes = SIZE_MAX;
    runtime.charge_text(bytes);
    std::string out;
    out.reserve(bytes);
    if (!text.empty()) {
      for (uint64_t i = 0; i < count; ++i) out += text;
    }
    return Value::string(std::move(out), sequence.is_markup());
  }
  const std::vector<Value>& items = sequence.as<List>().items;
  uint64_t total = 0;
  if (__builtin_mul_overflow(items.size(), count, &total)) total = UINT64_MAX;
  runtime.charge_items(total);
  std::vector<Value> out;
  out.reserve(total);
  while (out.size() < total) out.insert(out.end(), items.begin(), items.end());
  return sequence.is(Kind::list) ? make_list(runtime, std::move(out)) : make_tuple(runtime, std::move(out));
}

Value concatenate(Interpreter& interpreter, const Value& a, const Value& b) {
  Runtime& runtime = interpreter.runtime();
  if (a.is(Kind::string)) {
    if (a.is_markup() || b.is_markup()) {
      return make_string(runtime, escape(interpreter, a) + escape(interpreter, b), true);
    }
    runtime.charge_text(a.text().size() + b.text().size());
    return Value::string(a.text() + b.text());
  }
  std::vector<Value> items = a.as<List>().items;
  const std::vector<Value>& more = b.as<List>().items;
  runtime.charge_items(items.size() + more.size());
  items.insert(items.end(), more.begin(), more.end());
  return a.is(Kind::list) ? make_list(runtime, std::move(items)) : make_tuple(runtime, std::move(items));
}

}  // namespace

Value binary(Interpreter& interpreter, std::string_view sign, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return number_arithmetic(sign, a, b);
  if (sign == "%" && a.is(Kind::string)) {
    return make_string(interpreter.runtime(), format_percent(interpreter, a.text(), b), a.is_markup());
  }
  if (sign == "+" && a.kind() == b.kind() && is_sequence(a)) return concatenate(interpreter, a, b);
  if (sign == "*" && is_sequence(a) && b.is_integral()) return repeat(interpreter, a, b.integer());
  if (sign == "*" && is_sequence(b) && a.is_integral()) return repeat(interpreter, b, a.integer());
  unsupported_operands(sign, a, b);
}

Value negate(const Value& a) {
  if (a.is(Kind::undefined)) fail(a.text());
  if (a.is(Kind::real)) return Value::real(-a.real());
  if (!a.is_integral()) fail(fmt::format("bad operand type for unary -: '{}'", type_name(a)));
  if (a.integer() == INT64_MIN) overflow("-");
  return Value::integer(-a.integer());
}

Value plus(const Value& a) {
  if (a.is(Kind::undefined)) fail(a.text());
  if (a.is(Kind::real)) return a;
  if (!a.is_integral()) fail(fmt::format("bad operand type for unary +: '{}'", type_name(a)));
  return Value::integer(a.integer());
}

namespace {

// <= and >= on what has an order; a NaN compares false with everything.
bool less_or_equal(Runtime& runtime, const Value& a, const Value& b, std::string_view sign) {
  if (a.is_number() && b.is_number()) {
    return a.is_integral() && b.is_integral() ? a.integer() <= b.integer() : a.real() <= b.real();
  }
  return !less(runtime, b, a, sign);
}

}  // namespace

bool compare(Interpreter& interpreter, std::string_view sign, const Value& a, const Value& b) {
  Runtime& runtime = interpreter.runtime();
  if (sign == "==") return equal(runtime, a, b);
  if (sign == "!=") return !equal(runtime, a, b);
  if (sign == "in") return interpreter.contains(b, a);
  if (sign == "not in") return !interpreter.contains(b, a);
  if (sign == "<") return less(runtime, a, b, sign);
  if (sign == ">") return less(runtime, b, a, sign);
  return sign == "<=" ? less_or_equal(runtime, a, b, sign) : less_or_equal(runtime, b, a, sign);
}

}  // namespace nuri::jinja
