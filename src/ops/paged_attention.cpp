#include <ATen/ATen.h>

#include "kernels/paged_attention.h"
#include "ops/kernel_access.h"
#include "ops/ops.h"

namespace nuri::ops {

bool can_attend_paged(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values) {
  return kernels_may_run({query, keys, values}) && keys.scalar_type() == values.scalar_type() && keys.is_contiguous() &&
         values.is_contiguous();
}

void paged_attention(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                     std::span<const PagedRow> rows, double scale, int64_t window, at::Tensor& out) {
  TORCH_INTERNAL_ASSERT(can_attend_paged(query, keys, values) && out.is_contiguous() && keys.size(2) == 16 &&
                        out.scalar_type() == query.scalar_type() && out.numel() == query.numel());
  at::Tensor q = query.contiguous();
  int64_t row_bytes = q.size(1) * q.size(2) * q.element_size();
  const char* from = static_cast<const char*>(q.const_data_ptr());
  char* to = static_cast<char*>(out.mutable_data_ptr());
  std::vector<kernels::PagedQuery> queries;
  for (const PagedRow& row : rows)
    queries.push_back({from + row.row * row_bytes, to + row.row * row_bytes, row.table, row.length});
  kernels::paged_attention(
      {keys.const_data_ptr(), values.const_data_ptr(), element_of(keys), keys.size(0), keys.size(1), keys.size(3)},
      queries, q.size(1), element_of(q), static_cast<float>(scale), window);
}

}  // namespace nuri::ops
