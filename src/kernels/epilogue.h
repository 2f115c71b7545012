#pragma once

#include <cstdint>

namespace nuri::kernels {

// What comes behind a sum: nothing, or GELU exactly or by its tanh approximation (Hendrycks and Gimpel 2016), or ReLU.
enum class Bend : uint8_t { none, gelu, gelu_tanh, relu };

}  // namespace nuri::kernels
