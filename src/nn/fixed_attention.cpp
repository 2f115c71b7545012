#include "nn/fixed_attention.h"

#include <ATen/ATen.h>

namespace nuri::nn {

FixedPagedAttention::FixedPagedAttention(KvCache& cache, const FixedRows& rows)
    : cache_(cache), indices_(rows.indices) {
  constexpr int64_t kBlock = KvCache::kBlock;
  const int64_t heads = cache.keys(0).numbers.size(1);
  at::Tensor own = indices_.unsqueeze(1);  // [R, 1]
  at::Tensor positions = at::arange(rows.table.size(1) * kBlock, own.options()).unsqueeze(0).minimum(own);
  at::Tensor blocks = rows.table.gather(1, positions.floor_divide(kBlock));  // [R, B * 16]
  at::Tensor head = at::arange(heads, own.options()).view({1, heads, 1});
  places_ = (blocks.unsqueeze(1) * heads + head) * kBlock + positions.remainder(kBlock).unsqueeze(1);
  block_of_row_ = rows.table.gather(1, own.floor_divide(kBlock)).squeeze(1);
  offset_of_row_ = indices_.remainder(kBlock);
}

const at::Tensor& FixedPagedAttention::mask(const AttentionOptions& options, at::ScalarType type) {
  at::Tensor& mask = masks_[{options.window, options.chunk, options.sinks}];
  if (mask.defined()) return mask;
  at::Tensor seen = options.seen(at::arange(places_.size(2), indices_.options()), indices_.unsqueeze(1));
  mask = at::zeros(seen.sizes(), seen.options().dtype(type)).masked_fill(~seen, ops::lowest(type));
  return mask = mask.unsqueeze(1).unsqueeze(1);
}

at::Tensor FixedPagedAttention::attend(int64_t layer, const Qkv& qkv, const AttentionOptions& options) {
  TORCH_INTERNAL_ASSERT(!options.distance_bias.defined(), "distances of fixed rows are not told");
  ops::store_paged(qkv.key, block_of_row_, offset_of_row_, cache_.keys(layer));
  ops::store_paged(qkv.value, block_of_row_, offset_of_row_, cache_.values(layer));
  const int64_t rows = qkv.query.size(0), heads = qkv.key.size(1), dim = qkv.key.size(2);
  const at::ScalarType type = qkv.query.scalar_type();
  // The queries that share a head of keys stand where positions would: fused attention of a GPU that takes a mask knows
  // no shared heads.
  at::Tensor query = qkv.query.reshape({rows, heads, -1, dim});
  at::Tensor masked = mask(options, type).expand({rows, 1, query.size(2), places_.size(2)});
  at::Tensor out =
      ops::attention(query, ops::gather_places(cache_.keys(layer), places_, type),
                     ops::gather_places(cache_.values(layer), places_, type), masked, /*causal=*/false, options.scale);
  return out.reshape({rows, -1});
}

}  // namespace nuri::nn
