#include "base/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/error.h"

namespace nuri {
namespace {

TEST(Memory, TheLimitOnAddressSpaceCounts) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer itself takes address space as it goes";
#endif
  AvailableMemory before = available_memory();
  EXPECT_GT(before.bytes, 0);
  rlimit old{};
  getrlimit(RLIMIT_AS, &old);
  rlimit tight = old;
  tight.rlim_cur = 1;  // already exceeded: nothing is left, but nothing fails before the next allocation
  setrlimit(RLIMIT_AS, &tight);
  AvailableMemory during{};
  std::string message;
  try {
    during = available_memory();
    expect_memory(3 << 20, "the cache", "3 x 1 MiB");
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_AS, &old);
  EXPECT_EQ(during.bytes, 0);
  EXPECT_EQ(message,
            "the cache: needs 3.0 MiB (3 x 1 MiB), found 0 bytes available (the limit on address space (ulimit -v))");
}

TEST(Memory, SizesReadWell) {
  EXPECT_EQ(readable_bytes(512), "512 bytes");
  EXPECT_EQ(readable_bytes(5 << 19), "2.5 MiB");
  EXPECT_EQ(readable_bytes(int64_t{5} << 30), "5.00 GiB");
}

}  // namespace
}  // namespace nuri
