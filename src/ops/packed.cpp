#include "ops/packed.h"

#include <ATen/ATen.h>

#include "kernels/quantized.h"
#include "ops/kernel_access.h"

namespace nuri::ops {

std::shared_ptr<const PackedWeight> pack(const at::Tensor& weight, kernels::Coding coding) {
  at::Tensor w = weight.contiguous();
  int64_t n = w.size(0), k = w.size(1);
  auto packed = std::make_shared<PackedWeight>(
      PackedWeight{coding, n, k, at::empty({kernels::quantized_bytes(coding, n, k)}, at::kByte)});
  kernels::quantize(coding, n, k, {w.const_data_ptr(), element_of(w), k}, packed->bytes.mutable_data_ptr());
  return packed;
}

at::Tensor unpack(const PackedWeight& weight, const at::Tensor& like) {
  at::Tensor rows = at::empty({weight.n, weight.k}, at::kFloat);
  kernels::dequantize(weight.coding, weight.n, weight.k, weight.bytes.const_data_ptr(), 0, weight.n,
                      rows.mutable_data_ptr<float>());
  return rows.to(like.options());
}

}  // namespace nuri::ops
