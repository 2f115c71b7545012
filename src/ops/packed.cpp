#include "ops/packed.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "kernels/bfloat12.h"
#include "kernels/quantized.h"
#include "ops/weight_only.h"

namespace nuri::ops {

at::Tensor unpack(const PackedWeight& weight, const at::Tensor& like) {
  if (like.is_meta()) return at::empty({weight.n, weight.k}, like.options());
  if (weight.weight_only) return weight_only_numbers(weight, like.scalar_type());
  if (weight.coding == kernels::Coding::bfloat12) {
    at::Tensor exact = at::empty({weight.n, weight.k}, at::kBFloat16);
    kernels::unpack_bfloat12(weight.n, weight.k, weight.bytes.const_data_ptr(), 0, weight.n,
                             static_cast<uint16_t*>(exact.mutable_data_ptr()));
    return exact.to(like.options());
  }
  at::Tensor rows = at::empty({weight.n, weight.k}, at::kFloat);
  kernels::dequantize(weight.coding, weight.n, weight.k, weight.bytes.const_data_ptr(), 0, weight.n,
                      rows.mutable_data_ptr<float>());
  return rows.to(like.options());
}

at::Tensor unpack_rows(const PackedWeight& weight, const at::Tensor& ids, at::ScalarType dtype) {
  if (weight.weight_only) return weight_only_rows(weight, ids, dtype);
  std::vector<int64_t> shape = ids.sizes().vec();
  shape.push_back(weight.k);
  if (ids.is_meta()) return at::empty(shape, ids.options().dtype(dtype));
  at::Tensor flat = ids.contiguous().view(-1);
  at::Tensor rows = at::empty({flat.numel(), weight.k}, at::kFloat);
  const int64_t* id = flat.const_data_ptr<int64_t>();
  float* row = rows.mutable_data_ptr<float>();
  for (int64_t i = 0; i < flat.numel(); ++i, row += weight.k) {
    if (id[i] < 0 || id[i] >= weight.n)
      throw Error(ErrorKind::internal, fmt::format("a packed embedding of {} rows: row {}", weight.n, id[i]));
    kernels::dequantize(weight.coding, weight.n, weight.k, weight.bytes.const_data_ptr(), id[i], id[i] + 1, row);
  }
  return rows.view(shape).to(dtype);
}

}  // namespace nuri::ops
