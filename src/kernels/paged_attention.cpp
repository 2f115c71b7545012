#include "kernels/paged_attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
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

// Keys and values lie by blocks of all heads, and memory comes faster in its order: so a thread takes so
// many positions of each of its heads in turn, while the next ones are fetched.
constexpr int64_t kSpan = 64;

// Positions that threads share among them, at most. The parts are the same whatever the number of threads.
constexpr int64_t kMostOfPart = 256;

// Of the positions that a query sees: the first `sinks`, and [begin, end).
struct Part {
  int64_t query, sinks, begin, end;
};

// The parts of each query, one behind the other; those of query i are [first[i], first[i + 1]).
struct Parts {
  std::vector<Part> all;
  std::vector<int64_t> first;
};

Parts parts_of(std::span<const PagedQuery> queries) {
  Parts parts;
  for (const PagedQuery& query : queries) {
    parts.first.push_back(std::ssize(parts.all));
    const int64_t length = std::max(query.begin, query.length), first = query.begin / kBlockPositions;
    const int64_t blocks = (length + kBlockPositions - 1) / kBlockPositions - first;
    const int64_t count = std::max<int64_t>(1, (blocks * kBlockPositions + kMostOfPart - 1) / kMostOfPart);
    const auto cut = [&](int64_t i) {
      return std::clamp((first + blocks * i / count) * kBlockPositions, query.begin, length);
    };
    for (int64_t i = 0; i < count; ++i) {
      const int64_t sinks = i == 0 ? std::min({query.sinks, query.begin, query.length}) : 0;
      parts.all.push_back({std::ssize(parts.first) - 1, sinks, cut(i), i + 1 < count ? cut(i + 1) : length});
    }
  }
  parts.first.push_back(std::ssize(parts.all));
  return parts;
}

class Pass {
 public:
  Pass(const PagedCache& cache, std::span<const PagedQuery> queries, int64_t heads, Element q_type, float scale)
      : cache_(cache),
        queries_(queries),
        type_(q_type),
        scale_(scale),
        group_(heads / cache.kv_heads),
        size_(group_ * cache.head_dim),
        kernel_(kernel_for(cache)),
        parts_(parts_of(queries)),
        states_(static_cast<std::size_t>(std::ssize(parts_.all) * cache.kv_heads * state_size())) {}

  void run() {
    const int64_t heads = cache_.kv_heads, parts = std::ssize(parts_.all), queries = std::ssize(queries_);
    parallel_for(0, parts * heads, 1, [&](int64_t item, int64_t end) {
      while (item < end) {
        const int64_t part = item / heads, head = item % heads, count = std::min(end - item, heads - head);
        attend(part, head, count);
        item += count;
      }
    });
    if (parts == queries) return;
    parallel_for(0, queries * heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (parts_of_query(i / heads) > 1) finish(i / heads, i % heads);
      }
    });
  }

 private:
  static auto kernel_for(const PagedCache& cache) -> void (*)(const PagedHead&) {
    const bool pairs = cache.key_scales == nullptr && cache.type == Element::bfloat16 && cache.head_dim % 32 == 0 &&
                       cache.head_dim <= kMostPairedDim;
    return pairs && has_tiles(active_isa()) ? bf16::paged_head : NURI_KERNEL(paged_head);
  }
  // Of some queries that share a key-value head and a part: sums, greatest scores and totals.
  int64_t state_size() const { return size_ + 2 * group_; }
  float* state(int64_t part, int64_t head) { return states_.data() + (part * cache_.kv_heads + head) * state_size(); }
  int64_t parts_of_query(int64_t query) const {
    const auto i = static_cast<std::size_t>(query);
    return parts_.first[i + 1] - parts_.first[i];
  }
  int64_t place(int64_t head) const { return head * size_ * element_bytes(type_); }

  // `count` key-value heads from `head` on.
  void attend(int64_t part, int64_t head, int64_t count) {
    static thread_local std::vector<float> scratch;
    scratch.resize(static_cast<std::size_t>(count * size_));
    const Part& positions = parts_.all[static_cast<std::size_t>(part)];
    const PagedQuery& query = queries_[static_cast<std::size_t>(positions.query)];
    std::vector<PagedHead> jobs;
    for (int64_t i = 0; i < count; ++i) {
      float *const q = scratch.data() + i * size_, *const sums = state(part, head + i);
      convert(static_cast<const std::byte*>(query.q) + place(head + i), type_, q, Element::float32, size_);
      for (int64_t d = 0; d < size_; ++d) q[d] *= scale_;
      std::fill_n(sums, size_, 0.0f);
      std::fill_n(sums + size_, group_, -INFINITY);
      std::fill_n(sums + size_ + group_, group_, 0.0f);
      jobs.push_back(job_of(head + i, q, sums, query.table));
    }
    over_spans(0, positions.sinks, positions.sinks, jobs);
    over_spans(positions.begin, positions.end, query.length, jobs);
    if (parts_of_query(positions.query) > 1) return;
    for (int64_t i = 0; i < count; ++i) finish(positions.query, head + i);
  }

  PagedHead job_of(int64_t head, const float* q, float* state, const int32_t* table) const {
    const bool coded = cache_.key_scales != nullptr;
    const int64_t bytes = kBlockPositions * cache_.head_dim * (coded ? 1 : element_bytes(cache_.type));
    PagedHead job{};
    job.q = q;
    job.sums = state;
    job.greatest = state + size_;
    job.total = job.greatest + group_;
    job.queries = group_;
    job.head_dim = cache_.head_dim;
    job.keys = static_cast<const std::byte*>(cache_.keys) + head * bytes;
    job.values = static_cast<const std::byte*>(cache_.values) + head * bytes;
    job.cache_type = cache_.type;
    job.key_scales = coded ? cache_.key_scales + head * kBlockPositions : nullptr;
    job.value_scales = coded ? cache_.value_scales + head * kBlockPositions : nullptr;
    job.block_stride = cache_.kv_heads * kBlockPositions;
    job.table = table;
    return job;
  }

  // Positions [begin, end) of a sequence that goes on to `length`.
  void over_spans(int64_t begin, int64_t end, int64_t length, std::vector<PagedHead>& jobs) const {
    const auto behind = [](int64_t position, int64_t last) {
      return std::min((position / kBlockPositions + kSpan / kBlockPositions) * kBlockPositions, last);
    };
    for (int64_t position = begin; position < end;) {
      const int64_t next = behind(position, end);
      for (PagedHead& job : jobs) {
        job.begin = position, job.end = next;
        job.next_begin = next, job.next_end = behind(next, length);
        kernel_(job);
      }
      position = next;
    }
  }

  // Joins the parts of a query and writes what comes out.
  void finish(int64_t query, int64_t head) {
    const auto i = static_cast<std::size_t>(query);
    const int64_t first = parts_.first[i], end = parts_.first[i + 1], dim = cache_.head_dim;
    float* const joined = state(first, head);
    for (int64_t m = 0; m < group_; ++m) {
      float greatest = -INFINITY, total = 0;
      for (int64_t part = first; part < end; ++part) greatest = std::max(greatest, state(part, head)[size_ + m]);
      for (int64_t part = first; part < end; ++part) {
        const float* const other = state(part, head);
        const float share = other[size_ + m] == greatest ? 1.0f : std::exp(other[size_ + m] - greatest);
        total += share * other[size_ + group_ + m];
        for (int64_t d = m * dim; d < (m + 1) * dim; ++d)
          joined[d] = part == first ? share * other[d] : joined[d] + share * other[d];
      }
      const Part& seen = parts_.all[static_cast<std::size_t>(first)];
      if (seen.sinks == 0 && seen.begin == seen.end) total = 1;  // sees nothing: zeros
      for (int64_t d = m * dim; d < (m + 1) * dim; ++d) joined[d] /= total;
    }
    convert(joined, Element::float32, static_cast<std::byte*>(queries_[i].out) + place(head), type_, size_);
  }

  const PagedCache& cache_;
  std::span<const PagedQuery> queries_;
  Element type_;
  float scale_;
  int64_t group_, size_;  // query heads of a key-value head, and numbers of these
  void (*kernel_)(const PagedHead& job);
  Parts parts_;
  std::vector<float> states_;
};

}  // namespace

void paged_attention(const PagedCache& cache, std::span<const PagedQuery> queries, int64_t heads, Element q_type,
                     float scale) {
  check(cache, queries, heads);
  Pass(cache, queries, heads, q_type, scale).run();
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
