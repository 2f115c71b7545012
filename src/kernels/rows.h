#pragma once

#include "kernels/element.h"

namespace nuri::kernels {

// Rows in memory: row i begins `stride` elements after row i - 1. Any alignment.
struct ConstRows {
  const void* data = nullptr;
  Element type = Element::float32;
  int64_t stride = 0;
};
struct Rows {
  void* data = nullptr;
  Element type = Element::float32;
  int64_t stride = 0;
};
struct ConstVector {
  const void* data = nullptr;
  Element type = Element::float32;
};

}  // namespace nuri::kernels
