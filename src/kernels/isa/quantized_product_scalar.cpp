#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_scalar.h"

namespace nuri::kernels::scalar {
namespace {

struct Ints {
  int32_t lane[kLanes];
};
struct Bytes {
  uint8_t byte[kLanes * 4];
};

template <class F>
inline Bytes each_byte(const F& f) {
  Bytes result;
  for (int i = 0; i < kLanes * 4; ++i) result.byte[i] = static_cast<uint8_t>(f(i));
  return result;
}
inline Bytes load_bytes(const uint8_t* from) {
  return each_byte([&](int i) { return from[i]; });
}
inline Bytes low_halves(const Bytes& pair) {
  return each_byte([&](int i) { return pair.byte[i] & 0x0F; });
}
inline Bytes high_halves(const Bytes& pair) {
  return each_byte([&](int i) { return pair.byte[i] >> 4; });
}
inline Ints every(int32_t value) {
  Ints result;
  for (int32_t& lane : result.lane) lane = value;
  return result;
}
inline Ints dot(Ints sum, const Bytes& codes, const int8_t* x) {
  for (int i = 0; i < kLanes * 4; ++i) sum.lane[i / 4] += codes.byte[i] * x[i % 4];
  return sum;
}
inline Ints dot_small(Ints sum, const Bytes& codes, const int8_t* x) { return dot(sum, codes, x); }
inline Vec to_floats(const Ints& sum) {
  return each([&](int i) { return static_cast<float>(sum.lane[i]); });
}
template <class F>
inline Ints each_int(const F& f) {
  Ints result;
  for (int i = 0; i < kLanes; ++i) result.lane[i] = f(i);
  return result;
}
// What no number of 32 bits is becomes the least one, as instructions for it do.
inline Ints to_ints(const Vec& a) {
  return each_int([&](int i) {
    const float whole = __builtin_rintf(a.lane[i]);
    return whole >= -0x1p31f && whole < 0x1p31f ? static_cast<int32_t>(whole) : INT32_MIN;
  });
}
inline Ints add_ints(const Ints& a, const Ints& b) {
  return each_int([&](int i) { return a.lane[i] + b.lane[i]; });
}
inline int32_t total_of(const Ints& a) {
  int32_t sum = 0;
  for (int32_t value : a.lane) sum += value;
  return sum;
}
inline Ints load_ints(const int32_t* from) {
  return each_int([&](int i) { return from[i]; });
}
inline void store_ints(int32_t* to, const Ints& a) { __builtin_memcpy(to, a.lane, sizeof a.lane); }
inline void store_bytes(uint8_t* to, const Bytes& a) { __builtin_memcpy(to, a.byte, sizeof a.byte); }
inline void store_codes(int8_t* to, const Ints& a) {
  for (int i = 0; i < kLanes; ++i) to[i] = static_cast<int8_t>(a.lane[i]);
}

struct Halves {
  int16_t lane[kLanes];
};
inline Halves both(const Ints& a) {
  Halves result;
  for (int i = 0; i < kLanes; ++i) result.lane[i] = static_cast<int16_t>(a.lane[i]);
  return result;
}
inline Bytes recoded(const Bytes& codes, const Halves& factor, const Halves& offset) {
  return each_byte(
      [&](int i) { return static_cast<uint16_t>(codes.byte[i] * factor.lane[i / 4] + offset.lane[i / 4]) >> 7; });
}
inline Bytes recoded_signed(const Bytes& codes, const Halves& gain, const Halves& factor, const Halves& offset) {
  return each_byte([&](int i) {
    const int product = ((codes.byte[i] - 128) * gain.lane[i / 4] * factor.lane[i / 4] + 64) >> 7;
    return static_cast<uint16_t>(product + offset.lane[i / 4]) >> 7;
  });
}
inline Bytes distance(const Bytes& codes) {
  return each_byte([&](int i) { return codes.byte[i] < 128 ? 128 - codes.byte[i] : codes.byte[i] - 128; });
}
inline Bytes larger(const Bytes& a, const Bytes& b) {
  return each_byte([&](int i) { return a.byte[i] > b.byte[i] ? a.byte[i] : b.byte[i]; });
}
inline Ints greatest_of(const Bytes& a) {
  return each_int([&](int i) {
    int greatest = 0;
    for (int j = i * 4; j < i * 4 + 4; ++j) greatest = greatest < a.byte[j] ? a.byte[j] : greatest;
    return greatest;
  });
}

}  // namespace
}  // namespace nuri::kernels::scalar

#include "kernels/isa/quantized_product.inc"
#include "kernels/isa/quantized_slab.inc"
