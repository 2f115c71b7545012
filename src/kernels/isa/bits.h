#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/element.h"

// One number at a time, for tails and for the scalar set. Everything here has internal linkage: a weak symbol
// of a file compiled for one instruction set could become everybody's.

namespace nuri::kernels {
namespace {

struct Float32 {
  static constexpr int64_t kBytes = 4;
};
struct Float16 {
  static constexpr int64_t kBytes = 2;
};
struct BFloat16 {
  static constexpr int64_t kBytes = 2;
};
struct Int8 {
  static constexpr int64_t kBytes = 1;
};
struct UInt8 {
  static constexpr int64_t kBytes = 1;
};

[[maybe_unused]] inline uint32_t bits_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  return bits;
}

[[maybe_unused]] inline float float_of(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

[[maybe_unused]] inline float widen(BFloat16, uint16_t bits) { return float_of(uint32_t{bits} << 16); }

// A signalling NaN becomes quiet, as the F16C instructions do.
[[maybe_unused]] inline float widen(Float16, uint16_t bits) {
  const uint32_t sign = uint32_t(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1F, mantissa = bits & 0x3FF;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  if (exponent == 31) return float_of(sign | 0x7F800000u | (mantissa ? 0x400000u : 0) | (mantissa << 13));
  return float_of(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

// To the nearest, ties to even; a NaN stays one and becomes quiet.
[[maybe_unused]] inline uint16_t narrow(BFloat16, float value) {
  const uint32_t bits = bits_of(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

[[maybe_unused]] inline uint16_t narrow(Float16, float value) {
  const uint32_t bits = bits_of(value);
  const uint32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00 | ((bits >> 13) & 0x3FF));
  if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7C00);  // 65536 and more
  if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 0.5 rounds to a multiple of 2^-24, in the processor's own rounding.
    const uint32_t rounded = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
    return static_cast<uint16_t>(sign | rounded);
  }
  const uint32_t rounded = magnitude + 0xFFF + ((magnitude >> 13) & 1);
  return static_cast<uint16_t>(sign | ((rounded - (uint32_t{112} << 23)) >> 13));
}

// At any alignment.
[[maybe_unused]] inline float load_one(Float32, const void* from) {
  float value;
  __builtin_memcpy(&value, from, 4);
  return value;
}
template <class E>
inline float load_one(E type, const void* from) {
  uint16_t bits;
  __builtin_memcpy(&bits, from, 2);
  return widen(type, bits);
}
[[maybe_unused]] inline float load_one(Int8, const void* from) {
  return static_cast<float>(*static_cast<const signed char*>(from));
}
[[maybe_unused]] inline float load_one(UInt8, const void* from) {
  return static_cast<float>(*static_cast<const unsigned char*>(from));
}
[[maybe_unused]] inline void store_one(Float32, void* to, float value) { __builtin_memcpy(to, &value, 4); }
// A whole number of at most 127.
[[maybe_unused]] inline void store_one(Int8, void* to, float value) {
  *static_cast<signed char*>(to) = static_cast<signed char>(value);
}
template <class E>
inline void store_one(E type, void* to, float value) {
  const uint16_t bits = narrow(type, value);
  __builtin_memcpy(to, &bits, 2);
}

// Calls `body` with the tag of `type`.
template <class Body>
inline void with_element(Element type, const Body& body) {
  if (type == Element::float32) {
    body(Float32{});
  } else if (type == Element::float16) {
    body(Float16{});
  } else {
    body(BFloat16{});
  }
}

}  // namespace
}  // namespace nuri::kernels
