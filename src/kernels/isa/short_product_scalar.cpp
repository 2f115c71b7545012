#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_scalar.h"

namespace nuri::kernels::scalar {
namespace {

using Exponents = const uint8_t*;
inline Exponents exponents_of(const uint8_t* from) { return from; }

inline float number_of(int byte, int distance, int greatest) {
  const int exponent = distance == 15 ? 0 : greatest - distance;
  const uint32_t bits = static_cast<uint32_t>((byte & 0x80) << 8 | exponent << 7 | (byte & 0x7F)) << 16;
  float number;
  __builtin_memcpy(&number, &bits, sizeof number);
  return number;
}

struct Pair {
  Vec even, odd;
};
inline Pair pair_of(const uint8_t* bytes, const uint8_t* halves, Exponents greatest) {
  return {each([&](int i) { return number_of(bytes[2 * i], halves[i] & 0x0F, greatest[i]); }),
          each([&](int i) { return number_of(bytes[2 * i + 1], halves[i] >> 4, greatest[i]); })};
}

}  // namespace
}  // namespace nuri::kernels::scalar

#include "kernels/isa/short_product.inc"
