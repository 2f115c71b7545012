#include <ATen/ATen.h>

#include "kernels/tile_attention.h"
#include "ops/kernel_access.h"
#include "ops/ops.h"

namespace nuri::ops {
namespace {

// For fewer, packing the keys costs more than attending.
constexpr int64_t kFewQueries = 16;

// What kernels in matrix tiles need to know, where they can do the work.
std::optional<kernels::TileHeadShape> shape_in_tiles(const at::Tensor& query, const at::Tensor& key,
                                                     const at::Tensor& value, const at::Tensor& mask, bool causal,
                                                     double scale, std::span<const int64_t> first_seen) {
  if (mask.defined() || query.size(2) < kFewQueries || key.size(1) == 0 || query.size(1) % key.size(1) != 0 ||
      query.size(0) != key.size(0) || key.sizes() != value.sizes() || query.size(3) != key.size(3) ||
      !kernels_may_run({query, key, value}))
    return {};
  for (const at::Tensor& tensor : {query, key, value})
    if (tensor.stride(3) != 1 || tensor.stride(2) < tensor.size(3)) return {};
  if (key.scalar_type() != at::kBFloat16 || value.scalar_type() != at::kBFloat16) return {};
  kernels::TileHeadShape shape{query.size(2),
                               key.size(2),
                               query.size(3),
                               static_cast<float>(scale),
                               causal,
                               element_of(query),
                               first_seen.empty() ? nullptr : first_seen.data()};
  if (!kernels::tiles_attend(shape)) return {};
  return shape;
}

// query [B, H, T, D] over key and value [B, K, S, D]; what comes out lies as [B, T, H, D].
at::Tensor in_tiles(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                    const kernels::TileHeadShape& shape) {
  int64_t batch = query.size(0), count = query.size(1), groups = count / key.size(1);
  at::Tensor out = at::empty({batch, query.size(2), count, query.size(3)}, query.options()).transpose(1, 2);
  auto at_head = [](const at::Tensor& x, int64_t b, int64_t h) {
    return static_cast<const char*>(x.const_data_ptr()) + (b * x.stride(0) + h * x.stride(1)) * x.element_size();
  };
  char* to = static_cast<char*>(out.mutable_data_ptr());
  std::vector<kernels::TileHead> heads;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < count; ++h)
      heads.push_back({at_head(query, b, h), at_head(key, b, h / groups), at_head(value, b, h / groups),
                       to + (b * out.stride(0) + h * out.stride(1)) * out.element_size(), query.stride(2),
                       key.stride(2), value.stride(2), out.stride(2)});
  kernels::tile_attention(shape, heads);
  return out;
}

// What libtorch is to be told of who sees what. Undefined: everyone everything, or what it means by causal.
at::Tensor told(const at::Tensor& query, const at::Tensor& key, const at::Tensor& mask, bool causal,
                std::span<const int64_t> first_seen) {
  int64_t queries = query.size(2), keys = key.size(2);
  if (mask.defined() || (first_seen.empty() && (!causal || queries == keys))) return mask;
  at::Tensor seen = at::ones({queries, keys}, at::kBool);
  if (causal) seen = seen.tril(keys - queries);
  if (!first_seen.empty())
    seen = seen & (at::arange(keys) >= at::tensor(at::ArrayRef(first_seen.data(), first_seen.size())).unsqueeze(1));
  return seen.to(query.device());
}

}  // namespace

at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask,
                     bool causal, double scale, std::span<const int64_t> first_seen) {
  if (auto shape = shape_in_tiles(query, key, value, mask, causal, scale, first_seen))
    return in_tiles(query, key, value, *shape);
  int64_t groups = query.size(1) / key.size(1);
  bool graph = at::GradMode::is_enabled() && (query.requires_grad() || key.requires_grad() || value.requires_grad());
  at::Tensor q = query, allowed = told(query, key, mask, causal, first_seen);
  // libtorch's fused attention shares keys among heads, but has no gradient for it, and on a GPU takes no mask then.
  bool repeat = groups > 1 && (graph || (allowed.defined() && query.is_cuda()));
  at::Tensor k = repeat ? key.repeat_interleave(groups, 1) : key;
  at::Tensor v = repeat ? value.repeat_interleave(groups, 1) : value;
  if (kernels_may_run({query, key, value})) {  // libtorch takes one type alone
    q = query.to(key.scalar_type());
    if (allowed.defined() && allowed.scalar_type() != at::kBool) allowed = allowed.to(key.scalar_type());
  }
  return at::scaled_dot_product_attention(q, k, v, allowed.defined() ? std::optional(allowed) : std::nullopt, 0.0,
                                          causal && !allowed.defined(), scale, /*enable_gqa=*/groups > 1 && !repeat)
      .to(query.scalar_type());
}

}  // namespace nuri::ops
