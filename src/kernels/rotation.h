#pragma once

#include <cstdint>

#include "kernels/rows.h"

namespace nuri::kernels {

// A rotation of rows x [m, k] that spreads what stands out over its neighbours, so that rounding with one scale a row
// loses less (QuaRot: Ashkboos et al. 2024, arXiv:2404.00456). Each block of 256 columns is multiplied by Hadamard's
// matrix / 16; where k is no multiple of 256, the last 256 columns once more behind that; fewer than 256 stay as they
// are. Products of rotated rows with rotated rows are those of the rows themselves.
//
// A row [k] in place, and back.
void rotate(float* x, int64_t k);
void rotate_back(float* x, int64_t k);

// Rows [begin, end) of x, rotated, one after the other in float32.
void rotate_rows(ConstRows x, int64_t k, int64_t begin, int64_t end, float* rotated);

}  // namespace nuri::kernels
