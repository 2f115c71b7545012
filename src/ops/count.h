#pragma once

#include <functional>

namespace nuri::ops {

// Floating-point operations of the matrix products and attentions that `work` does, two for each multiplication with
// its addition. On tensors of the meta device nothing is computed and no memory is taken, so a model of any size can be
// counted from its shapes; libtorch's gaps there are filled first. Operators seen: mm, addmm, bmm,
// scaled_dot_product_attention.
double count_products(const std::function<void()>& work);

}  // namespace nuri::ops
