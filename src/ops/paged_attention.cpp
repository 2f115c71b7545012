#include "kernels/paged_attention.h"

#include <ATen/ATen.h>

#include "kernels/convert.h"
#include "ops/kernel_access.h"
#include "ops/ops.h"

namespace nuri::ops {
namespace {

constexpr int64_t kPositions = 16;  // of a block

bool lies_ready(const PagedNumbers& part) {
  if (!part.numbers.is_contiguous()) return false;
  if (!part.scales.defined()) return kernels_may_run({part.numbers});
  return part.numbers.scalar_type() == at::kChar && part.numbers.is_cpu() && part.scales.is_contiguous();
}

// [N, K, D] -> its codes, and their scales [N, K], by the rule of kernels::store_coded.
PagedNumbers coded(const at::Tensor& x) {
  constexpr double kLeast = 127 * 0x1p-126;
  at::Tensor exact = x.to(at::kFloat), greatest = exact.abs().amax(-1);
  at::Tensor whole = greatest.isfinite(), codable = whole.logical_and(greatest >= kLeast);
  at::Tensor scales = at::where(codable, greatest / 127, at::zeros_like(greatest)).masked_fill(~whole, NAN);
  at::Tensor codes = (exact * (127 / greatest).unsqueeze(-1)).round();
  return {at::where(codable.unsqueeze(-1), codes, at::zeros_like(codes)).to(at::kChar), scales};
}

std::span<const int64_t> numbers_of(const at::Tensor& indices) {
  return {indices.const_data_ptr<int64_t>(), static_cast<size_t>(indices.numel())};
}

}  // namespace

bool can_attend_paged(const at::Tensor& query, const PagedNumbers& keys, const PagedNumbers& values) {
  return kernels_may_run({query}) && lies_ready(keys) && lies_ready(values) &&
         keys.numbers.scalar_type() == values.numbers.scalar_type();
}

void paged_attention(const at::Tensor& query, const PagedNumbers& keys, const PagedNumbers& values,
                     std::span<const PagedRow> rows, double scale, at::Tensor& out) {
  const at::Tensor& numbers = keys.numbers;
  TORCH_INTERNAL_ASSERT(can_attend_paged(query, keys, values) && out.is_contiguous() && numbers.size(2) == kPositions &&
                        out.scalar_type() == query.scalar_type() && out.numel() == query.numel());
  at::Tensor q = query.is_contiguous() ? query : query.contiguous();
  int64_t row_bytes = q.size(1) * q.size(2) * q.element_size();
  const char* from = static_cast<const char*>(q.const_data_ptr());
  char* to = static_cast<char*>(out.mutable_data_ptr());
  std::vector<kernels::PagedQuery> queries;
  for (const PagedRow& row : rows)
    queries.push_back(
        {from + row.row * row_bytes, to + row.row * row_bytes, row.table, row.length, row.begin, row.sinks});
  kernels::PagedCache cache{
      numbers.const_data_ptr(), values.numbers.const_data_ptr(), {}, numbers.size(0), numbers.size(1), numbers.size(3)};
  if (keys.scales.defined()) {
    cache.key_scales = keys.scales.const_data_ptr<float>();
    cache.value_scales = values.scales.const_data_ptr<float>();
  } else {
    cache.type = element_of(numbers);
  }
  kernels::paged_attention(cache, queries, q.size(1), element_of(q), static_cast<float>(scale));
}

void store_paged(const at::Tensor& x, const at::Tensor& blocks, const at::Tensor& offsets, PagedNumbers& cache) {
  at::Tensor& numbers = cache.numbers;
  bool fits = numbers.is_contiguous() && kernels_may_run({x}) &&
              (cache.scales.defined() ? numbers.is_cpu() && cache.scales.is_contiguous() : kernels_may_run({numbers}));
  if (!fits) {  // [blocks, 16, K, ...], so that one row's heads are indexed by (block, offset)
    PagedNumbers stored = cache.scales.defined() ? coded(x) : PagedNumbers{x.to(numbers.scalar_type()), {}};
    numbers.transpose(1, 2).index_put_({blocks, offsets}, stored.numbers);
    if (cache.scales.defined()) cache.scales.transpose(1, 2).index_put_({blocks, offsets}, stored.scales);
    return;
  }
  at::Tensor rows = x.is_contiguous() ? x : x.contiguous();
  if (cache.scales.defined()) {
    return kernels::store_coded(rows.const_data_ptr(), element_of(rows), numbers_of(blocks), numbers_of(offsets),
                                {numbers.mutable_data_ptr<int8_t>(), cache.scales.mutable_data_ptr<float>(),
                                 numbers.size(0), numbers.size(1), numbers.size(3)});
  }
  int64_t heads = numbers.size(1), positions = numbers.size(2), dim = numbers.size(3);
  int64_t bytes = dim * numbers.element_size(), row_bytes = dim * rows.element_size();
  const kernels::Element from_type = element_of(rows), to_type = element_of(numbers);
  const auto* from = static_cast<const char*>(rows.const_data_ptr());
  auto* to = static_cast<char*>(numbers.mutable_data_ptr());
  const auto* block = blocks.const_data_ptr<int64_t>();
  const auto* offset = offsets.const_data_ptr<int64_t>();
  for (int64_t row = 0; row < rows.size(0); ++row)
    for (int64_t head = 0; head < heads; ++head, from += row_bytes)
      kernels::convert(from, from_type, to + ((block[row] * heads + head) * positions + offset[row]) * bytes, to_type,
                       dim);
}

at::Tensor gather_paged(const PagedNumbers& cache, const at::Tensor& blocks, at::ScalarType type) {
  at::Tensor chosen = cache.numbers.index_select(0, blocks);
  if (cache.scales.defined()) chosen = chosen * cache.scales.index_select(0, blocks).unsqueeze(-1);
  return chosen.to(type).transpose(0, 1).reshape({chosen.size(1), -1, chosen.size(3)});
}

at::Tensor gather_places(const PagedNumbers& cache, const at::Tensor& places, at::ScalarType type) {
  at::Tensor flat = places.reshape({-1});
  at::Tensor chosen = cache.numbers.view({-1, cache.numbers.size(3)}).index_select(0, flat);
  if (cache.scales.defined()) chosen = chosen * cache.scales.view({-1}).index_select(0, flat).unsqueeze(-1);
  std::vector<int64_t> shape = places.sizes().vec();
  shape.push_back(cache.numbers.size(3));
  return chosen.to(type).view(shape);
}

}  // namespace nuri::ops
