#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/cpu.h"
#include "kernels/element.h"

// What the kernels' tests share: a reference for one number that knows no bit tricks, and buffers at odd addresses.
namespace nuri::kernels {

inline const std::vector<Element>& all_elements() {
  static const std::vector<Element> types{Element::float32, Element::float16, Element::bfloat16};
  return types;
}

// `value` rounded to the nearest number with `bits` of mantissa and an exponent of at least `lowest`, by arithmetic.
inline double rounded_to(double value, int bits, int lowest, double largest) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double unit = std::ldexp(1.0, std::max(std::ilogb(value), lowest) - bits);
  const double result = std::nearbyint(value / unit) * unit;
  return std::abs(result) > largest ? std::copysign(INFINITY, value) : result;
}

inline double rounded_to(Element type, double value) {
  if (type == Element::float32) return static_cast<float>(value);
  if (type == Element::float16) return rounded_to(value, 10, -14, 65504.0);
  return rounded_to(value, 7, -126, 0x1.FEp127);
}

// Numbers of one type that begin at an odd byte, with guard bytes behind them.
class Buffer {
 public:
  Buffer(Element type, int64_t count, std::size_t offset = 1)
      : type_(type), count_(count), offset_(offset), bytes_(offset + size() + kGuard, kGuardByte) {}

  void* data() { return bytes_.data() + offset_; }
  const void* data() const { return bytes_.data() + offset_; }
  Element type() const { return type_; }
  int64_t count() const { return count_; }
  bool guard_is_whole() const {
    for (std::size_t i = offset_ + size(); i < bytes_.size(); ++i) {
      if (bytes_[i] != kGuardByte) return false;
    }
    return true;
  }

  double get(int64_t i) const {
    const std::byte* from = bytes_.data() + offset_ + i * element_bytes(type_);
    if (type_ == Element::float32) {
      float value;
      std::memcpy(&value, from, 4);
      return value;
    }
    uint16_t bits;
    std::memcpy(&bits, from, 2);
    const int mantissa_bits = type_ == Element::float16 ? 10 : 7, exponent_mask = type_ == Element::float16 ? 31 : 255;
    const int bias = exponent_mask / 2, exponent = (bits >> mantissa_bits) & exponent_mask;
    const int mantissa = bits & ((1 << mantissa_bits) - 1);
    const double sign = bits & 0x8000 ? -1.0 : 1.0;
    if (exponent == exponent_mask) return mantissa ? NAN : sign * INFINITY;
    const int whole = exponent ? mantissa + (1 << mantissa_bits) : mantissa;
    return sign * std::ldexp(whole, std::max(exponent, 1) - bias - mantissa_bits);
  }

  // `value` must be one that the type can hold.
  void set(int64_t i, double value) {
    std::byte* to = bytes_.data() + offset_ + i * element_bytes(type_);
    const float single = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &single, 4);
    if (type_ == Element::float32) {
      std::memcpy(to, &bits, 4);
      return;
    }
    uint16_t half = static_cast<uint16_t>(bits >> 16);
    if (type_ == Element::float16) half = half_bits(value);
    std::memcpy(to, &half, 2);
  }

  void set_random(CounterRandom& random, double scale = 1.0) {
    for (int64_t i = 0; i < count_; ++i) set(i, rounded_to(type_, scale * random.normal()));
  }

 private:
  static constexpr std::byte kGuardByte{0xA5};
  static constexpr std::size_t kGuard = 64;

  static uint16_t half_bits(double value) {
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    if (std::isnan(value)) return 0x7E00;
    if (std::isinf(value)) return sign | 0x7C00;
    if (value == 0) return sign;
    const int exponent = std::max(std::ilogb(value), -14);
    const auto whole = static_cast<int>(std::ldexp(std::abs(value), 10 - exponent));
    return static_cast<uint16_t>(sign | ((exponent + 14) * 1024 + whole));
  }

  std::size_t size() const { return static_cast<std::size_t>(count_ * element_bytes(type_)); }

  Element type_;
  int64_t count_;
  std::size_t offset_;
  std::vector<std::byte> bytes_;
};

// Runs each test once with every instruction set of this processor.
class EveryIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { set_active_isa(GetParam()); }
  void TearDown() override { set_active_isa(supported_isas().back()); }
};

// Those that multiply tiles.
inline std::vector<Isa> tile_isas() {
  std::vector<Isa> isas = supported_isas();
  std::erase_if(isas, [](Isa isa) { return !has_tiles(isa); });
  return isas;
}

inline std::string isa_test_name(const testing::TestParamInfo<Isa>& info) { return std::string(isa_name(info.param)); }

}  // namespace nuri::kernels
