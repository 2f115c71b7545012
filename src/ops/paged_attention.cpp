#include <ATen/ATen.h>

#include <cstring>

#include "kernels/paged_attention.h"
#include "ops/kernel_access.h"
#include "ops/ops.h"

namespace nuri::ops {

bool can_attend_paged(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values) {
  return kernels_may_run({query, keys, values}) && keys.scalar_type() == values.scalar_type() && keys.is_contiguous() &&
         values.is_contiguous();
}

void paged_attention(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                     std::span<const PagedRow> rows, double scale, at::Tensor& out) {
  TORCH_INTERNAL_ASSERT(can_attend_paged(query, keys, values) && out.is_contiguous() && keys.size(2) == 16 &&
                        out.scalar_type() == query.scalar_type() && out.numel() == query.numel());
  at::Tensor q = query.is_contiguous() ? query : query.contiguous();
  int64_t row_bytes = q.size(1) * q.size(2) * q.element_size();
  const char* from = static_cast<const char*>(q.const_data_ptr());
  char* to = static_cast<char*>(out.mutable_data_ptr());
  std::vector<kernels::PagedQuery> queries;
  for (const PagedRow& row : rows)
    queries.push_back({from + row.row * row_bytes, to + row.row * row_bytes, row.table, row.length, row.begin});
  kernels::paged_attention(
      {keys.const_data_ptr(), values.const_data_ptr(), element_of(keys), keys.size(0), keys.size(1), keys.size(3)},
      queries, q.size(1), element_of(q), static_cast<float>(scale));
}

void store_paged(const at::Tensor& x, const at::Tensor& blocks, const at::Tensor& offsets, at::Tensor& cache) {
  bool fits = cache.is_contiguous() && x.scalar_type() == cache.scalar_type() && x.is_cpu() && cache.is_cpu();
  if (!fits) {  // [blocks, 16, K, D], so that one row's heads are indexed by (block, offset)
    cache.transpose(1, 2).index_put_({blocks, offsets}, x);
    return;
  }
  at::Tensor rows = x.is_contiguous() ? x : x.contiguous();
  int64_t heads = cache.size(1), positions = cache.size(2), bytes = cache.size(3) * cache.element_size();
  const auto* from = static_cast<const char*>(rows.const_data_ptr());
  auto* to = static_cast<char*>(cache.mutable_data_ptr());
  const auto* block = blocks.const_data_ptr<int64_t>();
  const auto* offset = offsets.const_data_ptr<int64_t>();
  for (int64_t row = 0; row < rows.size(0); ++row)
    for (int64_t head = 0; head < heads; ++head, from += bytes)
      std::memcpy(to + ((block[row] * heads + head) * positions + offset[row]) * bytes, from, bytes);
}

}  // namespace nuri::ops
