#pragma once

#include "kernels/isa/bits.h"

// The vector of the scalar set: eight numbers in plain C++, the reference of the other two.
#define NURI_ISA_NAMESPACE scalar
#define NURI_UNROLL

namespace nuri::kernels::scalar {
namespace {

constexpr int kLanes = 8;
constexpr int kRegisters = 4;
constexpr int kMaxTileX = 2;

struct Vec {
  float lane[kLanes];
};

template <class F>
inline Vec each(const F& f) {
  Vec result;
  for (int i = 0; i < kLanes; ++i) result.lane[i] = f(i);
  return result;
}

inline Vec broadcast(float value) {
  return each([&](int) { return value; });
}
inline Vec zero() { return broadcast(0.0f); }
inline Vec add(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] + b.lane[i]; });
}
inline Vec sub(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] - b.lane[i]; });
}
inline Vec mul(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] * b.lane[i]; });
}
inline Vec div(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] / b.lane[i]; });
}
inline Vec fma(Vec a, Vec b, Vec c) {
  return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
}
// `b` where either is NaN.
inline Vec max(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline Vec round(Vec a) {
  return each([&](int i) { return __builtin_rintf(a.lane[i]); });
}
// Lane i becomes that of i ^ kDistance.
template <int kDistance>
inline Vec swapped(Vec a) {
  return each([&](int i) { return a.lane[i ^ kDistance]; });
}
// value * 2^n, n a whole number that keeps the result normal.
inline Vec scale_by_power(Vec value, Vec n) {
  return each([&](int i) {
    const float power = n.lane[i];
    const uint32_t exponent = power == power ? static_cast<uint32_t>(static_cast<int32_t>(power)) << 23 : 0;
    return float_of(bits_of(value.lane[i]) + exponent);
  });
}
inline Vec zero_where_less(Vec value, Vec x, Vec bound) {
  return each([&](int i) { return x.lane[i] < bound.lane[i] ? 0.0f : value.lane[i]; });
}
inline float reduce_add(Vec a) {
  return ((a.lane[0] + a.lane[4]) + (a.lane[2] + a.lane[6])) + ((a.lane[1] + a.lane[5]) + (a.lane[3] + a.lane[7]));
}
inline float reduce_max(Vec a) {
  float result = a.lane[0];
  for (int i = 1; i < kLanes; ++i) result = result > a.lane[i] ? result : a.lane[i];
  return result;
}
// What join_sums takes of four vectors.
inline Vec sum_of_four(Vec a, Vec b, Vec c, Vec d) {
  Vec sums = zero();
  sums.lane[0] = reduce_add(a), sums.lane[1] = reduce_add(b);
  sums.lane[2] = reduce_add(c), sums.lane[3] = reduce_add(d);
  return sums;
}
// Lane i is the sum over the lanes of the i-th vector, of kLanes vectors that sum_of_four took in order.
inline Vec join_sums(const Vec* fours) {
  return each([&](int i) { return fours[i / 4].lane[i % 4]; });
}

template <class E>
inline Vec load_some(E type, const void* from, int64_t count) {
  const auto* bytes = static_cast<const unsigned char*>(from);
  return each([&](int i) { return i < count ? load_one(type, bytes + i * E::kBytes) : 0.0f; });
}
template <class E>
inline Vec load(E type, const void* from) {
  return load_some(type, from, kLanes);
}
template <class E>
inline void store_some(E type, void* to, Vec a, int64_t count) {
  auto* bytes = static_cast<unsigned char*>(to);
  for (int i = 0; i < count; ++i) store_one(type, bytes + i * E::kBytes, a.lane[i]);
}
template <class E>
inline void store(E type, void* to, Vec a) {
  store_some(type, to, a, kLanes);
}
inline void prefetch(const void*) {}

}  // namespace
}  // namespace nuri::kernels::scalar
