#pragma once

#include <cstdint>

namespace nuri::kernels {

// out[i] = the sum over t < taps of in[t * stride + i] * weights[t] / 2^22, rounded to the nearest (half up) and
// clamped to 0 .. 255, for i < length: one output row of a picture's resampling, or one column of a strip of its rows.
// Sums are 32 bits: the absolute weights must sum up to less than 2 (2^23). Any alignment. Runs on the calling thread.
void weighted_bytes(const uint8_t* in, int64_t stride, const int32_t* weights, int64_t taps, uint8_t* out,
                    int64_t length);

}  // namespace nuri::kernels
