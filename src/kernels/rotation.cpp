#include "kernels/rotation.h"

#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/factors.h"

namespace nuri::kernels {

void rotate(float* x, int64_t k) {
  for (int64_t i = 0; i + kRotatedColumns <= k; i += kRotatedColumns) NURI_KERNEL(rotate_block)(x + i);
  if (k > kRotatedColumns && k % kRotatedColumns != 0) NURI_KERNEL(rotate_block)(x + k - kRotatedColumns);
}

// Each step is its own inverse.
void rotate_back(float* x, int64_t k) {
  if (k > kRotatedColumns && k % kRotatedColumns != 0) NURI_KERNEL(rotate_block)(x + k - kRotatedColumns);
  for (int64_t i = 0; i + kRotatedColumns <= k; i += kRotatedColumns) NURI_KERNEL(rotate_block)(x + i);
}

void rotate_rows(ConstRows x, int64_t k, int64_t begin, int64_t end, float* rotated) {
  for (int64_t row = begin; row < end; ++row, rotated += k) {
    convert(row_of(x.data, row, x.stride, x.type), x.type, rotated, Element::float32, k);
    rotate(rotated, k);
  }
}

}  // namespace nuri::kernels
