#include "ops/packed.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/large_pages.h"
#include "kernels/quantized.h"
#include "ops/kernel_access.h"

namespace nuri::ops {

std::shared_ptr<const PackedWeight> pack(const at::Tensor& weight, kernels::Coding coding) {
  at::Tensor w = weight.contiguous();
  int64_t n = w.size(0), k = w.size(1);
  const int64_t size = kernels::quantized_bytes(coding, n, k);
  auto memory = allocate_in_large_pages(static_cast<size_t>(size));
  at::Tensor bytes = at::from_blob(
      memory.get(), {size}, [memory](void*) {}, at::TensorOptions(at::kByte));
  auto packed = std::make_shared<PackedWeight>(PackedWeight{coding, n, k, bytes});
  kernels::quantize(coding, n, k, {w.const_data_ptr(), element_of(w), k}, packed->bytes.mutable_data_ptr());
  return packed;
}

at::Tensor unpack(const PackedWeight& weight, const at::Tensor& like) {
  at::Tensor rows = at::empty({weight.n, weight.k}, at::kFloat);
  kernels::dequantize(weight.coding, weight.n, weight.k, weight.bytes.const_data_ptr(), 0, weight.n,
                      rows.mutable_data_ptr<float>());
  return rows.to(like.options());
}

at::Tensor unpack_rows(const PackedWeight& weight, const at::Tensor& ids, at::ScalarType dtype) {
  at::Tensor flat = ids.contiguous().view(-1);
  at::Tensor rows = at::empty({flat.numel(), weight.k}, at::kFloat);
  const int64_t* id = flat.const_data_ptr<int64_t>();
  float* row = rows.mutable_data_ptr<float>();
  for (int64_t i = 0; i < flat.numel(); ++i, row += weight.k) {
    if (id[i] < 0 || id[i] >= weight.n)
      throw Error(ErrorKind::internal, fmt::format("a packed embedding of {} rows: row {}", weight.n, id[i]));
    kernels::dequantize(weight.coding, weight.n, weight.k, weight.bytes.const_data_ptr(), id[i], id[i] + 1, row);
  }
  std::vector<int64_t> shape = ids.sizes().vec();
  shape.push_back(weight.k);
  return rows.view(shape).to(dtype);
}

}  // namespace nuri::ops
