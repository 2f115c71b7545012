#include "base/parallel.h"

#include <atomic>

namespace nuri {
namespace {

void run_here(int64_t begin, int64_t end, int64_t, const std::function<void(int64_t, int64_t)>& body) {
  body(begin, end);
}

std::atomic<ParallelFor> implementation{run_here};

}  // namespace

void parallel_for(int64_t begin, int64_t end, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (begin < end) implementation.load(std::memory_order_relaxed)(begin, end, grain, body);
}

void set_parallel_for(ParallelFor chosen) { implementation.store(chosen); }

}  // namespace nuri
