#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "ops/ops.h"

#ifndef INTRA_OP_PARALLEL
#error "compiled without OpenMP, at::parallel_for would run on one thread"
#endif

namespace nuri::ops {
namespace {

constexpr int kMostThreads = 1024;

int64_t stack_bytes() {
  constexpr int64_t kUsual = 8 << 20;
  rlimit limit{};
  if (::getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUsual;
  return std::max<int64_t>(static_cast<int64_t>(limit.rlim_cur), 1 << 16);
}

// OpenMP ends the program when it cannot make a thread. Under a limit on address space, threads are therefore counted,
// and made before anything else takes the room.
void make_threads(int asked, int64_t room) {
  int64_t stack = stack_bytes(), fitting = std::max<int64_t>(room / 2 / stack, 1);
  if (asked > fitting)
    throw Error(ErrorKind::resource,
                fmt::format("--threads: {} threads need {} ({} of stack each), found {} available of the limit on "
                            "address space (ulimit -v), half of it for stacks",
                            asked, readable_bytes(asked * stack), readable_bytes(stack), readable_bytes(room)));
  int threads = asked > 0 ? asked : static_cast<int>(std::min<int64_t>(at::get_num_threads(), fitting));
  at::set_num_threads(threads);
  at::parallel_for(0, threads, 1, [](int64_t, int64_t) {});
}

// Threads take what is left in ever smaller pieces (guided self-scheduling, Polychronopoulos and Kuck 1987): with equal
// pieces, each product of a decode step waited for the thread whose share of memory came last, a twentieth of the time.
void run_shared(int64_t begin, int64_t end, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  grain = std::max<int64_t>(grain, 1);
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), (end - begin) / grain);
  if (threads <= 1 || at::in_parallel_region()) return body(begin, end);
  std::atomic<int64_t> next = begin;
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    int64_t from = next.load(), to;
    while (from < end) {
      to = std::min(end, from + std::max(grain, (end - from) / (2 * threads)));
      if (!next.compare_exchange_weak(from, to)) continue;
      body(from, to);
      from = next.load();
    }
  });
}

}  // namespace

void use_torch_threads(int threads) {
  if (threads > kMostThreads)
    throw Error(ErrorKind::usage, fmt::format("--threads: found {}, expected at most {}", threads, kMostThreads));
  auto room = free_address_space();
  if (threads > 0 && !room) at::set_num_threads(threads);
  if (room) make_threads(threads, *room);
  set_parallel_for(run_shared);
}

}  // namespace nuri::ops
