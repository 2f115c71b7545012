#pragma once

#include <cstdint>
#include <functional>

namespace nuri {

// Runs `body(begin, end)` over disjoint pieces that cover [begin, end), each at least `grain` long, perhaps
// on several threads, and returns when all are done. An exception of a piece is rethrown here.
// Nested calls run on the calling thread.
void parallel_for(int64_t begin, int64_t end, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

using ParallelFor = void (*)(int64_t begin, int64_t end, int64_t grain,
                             const std::function<void(int64_t, int64_t)>& body);

// The floors above own the threads: they provide the implementation once, before work starts. Without one,
// everything runs on the calling thread.
void set_parallel_for(ParallelFor implementation);

}  // namespace nuri
