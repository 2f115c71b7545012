#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_scalar.h"

namespace nuri::kernels::scalar {
namespace {

struct Sums {
  int32_t lane[kLanes];
};

inline Sums all_equal(int32_t value) {
  Sums sums;
  for (int32_t& lane : sums.lane) lane = value;
  return sums;
}
inline Sums add_product(Sums sums, const uint8_t* from, const Sums& weight) {
  for (int i = 0; i < kLanes; ++i) sums.lane[i] += from[i] * weight.lane[i];
  return sums;
}
inline void store_bytes(uint8_t* to, const Sums& sums) {
  for (int i = 0; i < kLanes; ++i) {
    const int32_t value = sums.lane[i] >> kWeightBits;
    to[i] = static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}

}  // namespace
}  // namespace nuri::kernels::scalar

#include "kernels/isa/weighted_bytes.inc"
