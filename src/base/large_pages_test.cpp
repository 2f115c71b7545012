#include "base/large_pages.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/memory.h"
#include "base/test_support.h"

namespace nuri {
namespace {

// Numbers that tell where they stand.
std::string numbered(size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i + 8 <= bytes; i += 8) std::memcpy(text.data() + i, &i, 8);
  return text;
}

std::string_view text_of(MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

bool system_has_them() {
  std::error_code none;
  const std::filesystem::path modes = "/sys/kernel/mm/transparent_hugepage/enabled";
  if (!std::filesystem::exists(modes, none) || available_memory().bytes < (int64_t{1} << 30)) return false;
  return read_file(modes).find("[never]") == std::string::npos;
}

TEST(LargePages, AMappedFileStaysWhatItIs) {
  TestFolder folder;
  for (size_t size : {size_t{0}, size_t{4096}, size_t{5} << 20, (size_t{70} << 20) + 4104}) {
    const std::string text = numbered(size);
    folder.write("weights", text);
    MappedFile file(folder / "weights");
    LargePages moved(file.bytes());
    const bool goes_on = moved.move_some();
    EXPECT_EQ(goes_on, size > (size_t{60} << 20) && system_has_them());
    EXPECT_TRUE(text_of(file) == text) << size;
    while (moved.move_some()) {
    }
    EXPECT_FALSE(moved.move_some());
    EXPECT_TRUE(text_of(file) == text) << size;
    EXPECT_LE(moved.moved(), size);
    if (size > (size_t{6} << 20) && system_has_them()) {
      EXPECT_GT(moved.moved(), size / 2);
    }
    // It is the process's own, as a private mapping is.
    if (size > 0) file.bytes()[size / 2] = std::byte{7};
  }
  EXPECT_EQ(read_file(folder / "weights"), numbered((size_t{70} << 20) + 4104));
}

TEST(LargePages, AnySizeIsAllocated) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{100}, (size_t{2} << 20) - 1, (size_t{5} << 20) + 3}) {
    auto memory = allocate_in_large_pages(size);
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.get()) % 64, 0U);
    std::memset(memory.get(), 1, size);
  }
}

}  // namespace
}  // namespace nuri
