#pragma once

#include <cstdint>

#include "kernels/rows.h"

namespace nuri::kernels {

// Nothing, GELU exactly or by its tanh approximation or as x / (1 + exp(-1.702 x)) (Hendrycks and Gimpel 2016), ReLU,
// or x / (1 + exp(-x)).
enum class Bend : uint8_t { none, gelu, gelu_tanh, quick_gelu, relu, silu };
// How a number of another matrix joins the result at its place.
enum class Join : uint8_t { none, plus, times };

// What comes behind a sum, in float32, before it is rounded: join(bend(sum + bias[n]), other[m, n]).
struct Epilogue {
  ConstVector bias = {};
  Bend bend = Bend::none;
  Join join = Join::none;
  ConstRows other = {};  // may be the rows of the result itself
};

}  // namespace nuri::kernels
