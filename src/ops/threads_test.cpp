#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "base/parallel.h"
#include "ops/ops.h"

namespace nuri::ops {
namespace {

// The threads of libtorch, as they were found.
class Threads : public testing::Test {
 protected:
  void TearDown() override { use_torch_threads(before_); }

  int before_ = at::get_num_threads();
};

TEST_F(Threads, KernelsRunOnAsManyAsAreAskedFor) {
  for (int count : {1, 2, 3}) {
    use_torch_threads(count);
    std::mutex mutex;
    std::set<std::thread::id> seen;
    std::multiset<int64_t> covered;
    parallel_for(0, 30, 1, [&](int64_t begin, int64_t end) {
      std::lock_guard lock(mutex);
      seen.insert(std::this_thread::get_id());
      for (int64_t i = begin; i < end; ++i) covered.insert(i);
    });
    EXPECT_EQ(std::ssize(seen), count);
    EXPECT_EQ(covered.size(), 30u);
    EXPECT_EQ(std::set(covered.begin(), covered.end()).size(), 30u);
  }
}

TEST_F(Threads, AnErrorOfAPieceComesBack) {
  use_torch_threads(2);
  EXPECT_THROW(parallel_for(0, 2, 1,
                            [](int64_t begin, int64_t) {
                              if (begin == 1) throw std::runtime_error("piece");
                            }),
               std::runtime_error);
}

}  // namespace
}  // namespace nuri::ops
