#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <stdexcept>
#include <thread>
#include <vector>

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

// Each piece waits until as many have begun as there are threads, so that one thread alone would not come through.
TEST_F(Threads, KernelsRunOnAsManyAsAreAskedFor) {
  for (int count : {1, 2, 3}) {
    use_torch_threads(count);
    std::latch begun(count);
    std::atomic<int> met = 0;
    parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      begun.count_down(end - begin);
      for (int i = 0; i < 10000 && !begun.try_wait(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      met += begun.try_wait();
    });
    EXPECT_EQ(met, count);
  }
}

TEST_F(Threads, PiecesCoverTheRangeOnce) {
  use_torch_threads(3);
  for (int64_t size : {0, 1, 7, 1000})
    for (int64_t grain : {1, 5, 2000}) {
      std::vector<std::atomic<int>> visits(size);
      std::atomic<int> small = 0;
      parallel_for(10, 10 + size, grain, [&](int64_t begin, int64_t end) {
        if (end - begin < grain && end != 10 + size) ++small;
        for (int64_t i = begin; i < end; ++i) ++visits[i - 10];
      });
      for (const auto& count : visits) EXPECT_EQ(count, 1);
      EXPECT_EQ(small, 0);
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
