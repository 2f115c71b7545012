#include "kernels/paged_attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/convert.h"
#include "kernels/dispatch.h"

namespace nuri::kernels {
namespace {

void check(const PagedCache& cache, std::span<const PagedQuery> queries, int64_t heads) {
  if (cache.kv_heads < 1 || cache.head_dim < 1 || heads < 1 || heads % cache.kv_heads != 0) {
    throw Error(ErrorKind::internal,
                fmt::format("paged_attention: found {} heads over {} key-value heads of {}, expected a multiple", heads,
                            cache.kv_heads, cache.head_dim));
  }
  for (const PagedQuery& query : queries) {
    if (query.begin < 0) {
      throw Error(ErrorKind::internal,
                  fmt::format("paged_attention: begin: found {}, expected 0 or more", query.begin));
    }
    for (int64_t i = query.begin / kBlockPositions; i * kBlockPositions < query.length; ++i) {
      if (query.table[i] < 0 || query.table[i] >= cache.blocks) {
        throw Error(ErrorKind::internal, fmt::format("paged_attention: block {}: found {}, expected one below {}", i,
                                                     query.table[i], cache.blocks));
      }
    }
  }
}

}  // namespace

void paged_attention(const PagedCache& cache, std::span<const PagedQuery> queries, int64_t heads, Element q_type,
                     float scale) {
  check(cache, queries, heads);
  const auto kernel = NURI_KERNEL(paged_head);
  const int64_t dim = cache.head_dim, group = heads / cache.kv_heads, size = group * dim;
  const int64_t head_bytes = kBlockPositions * dim * element_bytes(cache.type);
  parallel_for(0, std::ssize(queries) * cache.kv_heads, 1, [&](int64_t begin, int64_t end) {
    static thread_local std::vector<float> scratch;
    scratch.resize(static_cast<std::size_t>(2 * size));
    float* const q = scratch.data();
    float* const sums = q + size;
    for (int64_t i = begin; i < end; ++i) {
      const PagedQuery& query = queries[static_cast<std::size_t>(i / cache.kv_heads)];
      const int64_t head = i % cache.kv_heads, place = head * size * element_bytes(q_type);
      if (query.begin < query.length) {
        convert(static_cast<const std::byte*>(query.q) + place, q_type, q, Element::float32, size);
        for (int64_t d = 0; d < size; ++d) q[d] *= scale;
        PagedHead job{};
        job.q = q;
        job.sums = sums;
        job.queries = group;
        job.head_dim = dim;
        job.keys = static_cast<const std::byte*>(cache.keys) + head * head_bytes;
        job.values = static_cast<const std::byte*>(cache.values) + head * head_bytes;
        job.cache_type = cache.type;
        job.block_stride = cache.kv_heads * kBlockPositions * dim;
        job.table = query.table;
        job.begin = query.begin;
        job.end = query.length;
        kernel(job);
      } else {
        std::fill_n(sums, size, 0.0f);
      }
      convert(sums, Element::float32, static_cast<std::byte*>(query.out) + place, q_type, size);
    }
  });
}

}  // namespace nuri::kernels
