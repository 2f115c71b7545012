#include "kernels/weighted_bytes.h"

#include "kernels/dispatch.h"

namespace nuri::kernels {

void weighted_bytes(const uint8_t* in, int64_t stride, const int32_t* weights, int64_t taps, uint8_t* out,
                    int64_t length) {
  NURI_KERNEL(weighted_bytes)({in, stride, weights, taps, out, length});
}

}  // namespace nuri::kernels
