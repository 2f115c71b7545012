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

}  // namespace
}  // namespace nuri::kernels::scalar

#include "kernels/isa/quantized_product.inc"
