#pragma once

#include <cstdint>

#include "kernels/element.h"

namespace nuri::kernels {

// out[i] = silu(gate[i]) * up[i] with silu(x) = x / (1 + exp(-x)), computed in float32 and rounded once; all three of
// one type, at any alignment. `out` may be `gate` or `up`. (Shazeer 2020, SwiGLU)
void silu_gate(const void* gate, const void* up, void* out, Element type, int64_t count);

// out[i] = x / (1 + exp(-1.702 x)) of x[i], likewise. (Hendrycks and Gimpel 2016, GELU's sigmoid approximation)
void quick_gelu(const void* x, void* out, Element type, int64_t count);

}  // namespace nuri::kernels
