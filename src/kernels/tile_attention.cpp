#include "kernels/tile_attention.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/scratch.h"

namespace nuri::kernels {
namespace {

constexpr int64_t kMostKeys = 16384;

// Queries that a thread attends to with the keys that it packed: so many that packing costs little beside it.
constexpr int64_t kShare = 512;

AttendedHead job_of(const TileHeadShape& shape, const TileHead& head) {
  AttendedHead job{};
  job.query = head.query, job.key = head.key, job.value = head.value, job.out = head.out;
  job.query_stride = head.query_stride, job.key_stride = head.key_stride;
  job.value_stride = head.value_stride, job.out_stride = head.out_stride;
  job.queries = shape.queries, job.keys = shape.keys, job.width = shape.width;
  job.scale = shape.scale, job.causal = shape.causal, job.query_type = shape.query_type;
  job.first_seen = shape.first_seen;
  return job;
}

void check_first_seen(const TileHeadShape& shape) {
  for (int64_t i = 0; shape.first_seen != nullptr && i < shape.queries; ++i) {
    const int64_t least = i == 0 ? 0 : shape.first_seen[i - 1], behind = shape.causal ? shape.queries - 1 - i : 0;
    if (shape.first_seen[i] < least || shape.first_seen[i] >= shape.keys - behind)
      throw Error(ErrorKind::internal,
                  fmt::format("tile_attention: first key of query {}: found {}, expected one from {} to {}", i,
                              shape.first_seen[i], least, shape.keys - behind - 1));
  }
}

void check(const TileHeadShape& shape, const TileHead& head) {
  for (int64_t stride : {head.query_stride, head.key_stride, head.value_stride, head.out_stride})
    if (stride < shape.width)
      throw Error(ErrorKind::internal,
                  fmt::format("tile_attention: found a stride of {} for a width of {}, expected no "
                              "less",
                              stride, shape.width));
}

}  // namespace

bool tiles_attend(const TileHeadShape& shape) {
  return has_tiles(active_isa()) && shape.queries > 0 && shape.keys > 0 && shape.keys <= kMostKeys && shape.width > 0 &&
         shape.width <= kMostTileWidth && shape.scale > 0 && shape.query_type != Element::float16 &&
         (!shape.causal || shape.queries <= shape.keys);
}

void tile_attention(const TileHeadShape& shape, std::span<const TileHead> heads) {
  if (!tiles_attend(shape))
    throw Error(ErrorKind::internal,
                fmt::format("tile_attention: found {} queries and {} keys of width {}, which tiles do "
                            "not take",
                            shape.queries, shape.keys, shape.width));
  check_first_seen(shape);
  for (const TileHead& head : heads) check(shape, head);
  const int64_t shares = (shape.queries + kShare - 1) / kShare;
  const auto pack = NURI_TILE_KERNEL(pack_head);
  const auto attend = NURI_TILE_KERNEL(attend_head);
  parallel_for(0, static_cast<int64_t>(heads.size()) * shares, 1, [&](int64_t begin, int64_t end) {
    static thread_local Scratch packed, work;
    std::byte* const keys = packed.of(packed_head_bytes(shape.keys, shape.width));
    auto* const sums = reinterpret_cast<float*>(work.of(attention_work_bytes(shape.width)));
    AttendedHead before{};
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % shares * kShare;
      AttendedHead job = job_of(shape, heads[static_cast<std::size_t>(i / shares)]);
      job.packed = keys, job.work = sums;
      const bool same_keys = job.key == before.key && job.value == before.value &&
                             job.key_stride == before.key_stride && job.value_stride == before.value_stride;
      if (!same_keys) pack(job);
      before = job;
      attend(job, first, std::min(first + kShare, shape.queries));
    }
  });
}

}  // namespace nuri::kernels
