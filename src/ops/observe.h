#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "ops/ops.h"

namespace nuri::ops {

// Is told of every product with weights while it watches, before the product is made.
class ProductObserver {
 public:
  virtual ~ProductObserver() = default;
  // x [..., K] is about to be multiplied with each of the factors.
  virtual void see(const at::Tensor& x, std::span<const Factor> factors) = 0;
};

// Who watches from now on, on any thread; null: nobody.
void observe_products(ProductObserver* observer);

}  // namespace nuri::ops
