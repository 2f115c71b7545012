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
    if (query.begin < 0 || query.sinks < 0) {
      throw Error(ErrorKind::internal, fmt::format("paged_attention: begin, sinks: found {}, {}, expected 0 or more",
                                                   query.begin, query.sinks));
    }
    const auto check_blocks = [&](int64_t position, int64_t end) {
      for (int64_t i = position / kBlockPositions; i * kBlockPositions < end; ++i) {
        if (query.table[i] >= 0 && query.table[i] < cache.blocks) continue;
        throw Error(ErrorKind::internal, fmt::format("paged_attention: block {}: found {}, expected one below {}", i,
                                                     query.table[i], cache.blocks));
      }
    };
    check_blocks(query.begin, query.length);
    check_blocks(0, std::min(query.sinks, query.length));
  }
}

}  // namespace

void paged_attention(const PagedCache& cache, std::span<const PagedQuery> queries, int64_t heads, Element q_type,
                     float scale) {
  check(cache, queries, heads);
  const auto kernel = NURI_KERNEL(paged_head);
  const int64_t dim = cache.head_dim, group = heads / cache.kv_heads, size = group * dim;
  const bool coded = cache.key_scales != nullptr;
  const int64_t head_bytes = kBlockPositions * dim * (coded ? 1 : element_bytes(cache.type));
  parallel_for(0, std::ssize(queries) * cache.kv_heads, 1, [&](int64_t begin, int64_t end) {
    static thread_local std::vector<float> scratch;
    scratch.resize(static_cast<std::size_t>(2 * size));
    float* const q = scratch.data();
    float* const sums = q + size;
    for (int64_t i = begin; i < end; ++i) {
      const PagedQuery& query = queries[static_cast<std::size_t>(i / cache.kv_heads)];
      const int64_t head = i % cache.kv_heads, place = head * size * element_bytes(q_type);
      const int64_t sinks = std::min({query.sinks, query.begin, query.length});
      if (query.begin < query.length || sinks > 0) {
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
        job.key_scales = coded ? cache.key_scales + head * kBlockPositions : nullptr;
        job.value_scales = coded ? cache.value_scales + head * kBlockPositions : nullptr;
        job.block_stride = cache.kv_heads * kBlockPositions;
        job.table = query.table;
        job.sinks = sinks;
        job.begin = query.begin;
        job.end = std::max(query.begin, query.length);
        kernel(job);
      } else {
        std::fill_n(sums, size, 0.0f);
      }
      convert(sums, Element::float32, static_cast<std::byte*>(query.out) + place, q_type, size);
    }
  });
}

void store_coded(const void* x, Element type, std::span<const int64_t> blocks, std::span<const int64_t> offsets,
                 const CodedBlocks& cache) {
  for (std::size_t row = 0; row < blocks.size(); ++row) {
    if (blocks[row] >= 0 && blocks[row] < cache.blocks && offsets[row] >= 0 && offsets[row] < kBlockPositions) continue;
    throw Error(ErrorKind::internal,
                fmt::format("store_coded: row {}: found position {} of block {}, expected one of {} blocks of {}", row,
                            offsets[row], blocks[row], cache.blocks, kBlockPositions));
  }
  const auto kernel = NURI_KERNEL(code_row);
  const int64_t dim = cache.head_dim, heads = cache.kv_heads;
  parallel_for(0, std::ssize(blocks), 16, [&](int64_t begin, int64_t end) {
    static thread_local std::vector<float> scratch;
    scratch.resize(static_cast<std::size_t>(heads * dim));
    for (int64_t row = begin; row < end; ++row) {
      const auto i = static_cast<std::size_t>(row);
      convert(static_cast<const std::byte*>(x) + row * heads * dim * element_bytes(type), type, scratch.data(),
              Element::float32, heads * dim);
      for (int64_t head = 0; head < heads; ++head) {
        const int64_t place = (blocks[i] * heads + head) * kBlockPositions + offsets[i];
        kernel(scratch.data() + head * dim, dim, cache.codes + place * dim, cache.scales + place);
      }
    }
  });
}

}  // namespace nuri::kernels
