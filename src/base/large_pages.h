#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace nuri {

// Memory of this process in large pages (2 MiB) where the system has them: a kernel that reads much of it once spends
// less time on finding its pages.
std::shared_ptr<std::byte> allocate_in_large_pages(std::size_t bytes);

// Moves what a private mapping of a file holds to large pages of this process, piece by piece at the same addresses.
// Whoever writes to the region must not begin before it is done. It ends early, and harmlessly, where the system has no
// large pages or memory is short.
class LargePages {
 public:
  explicit LargePages(std::span<std::byte> region) : region_(region) {}

  // Moves some 32 MiB more, on all threads; false: nothing is left to move.
  bool move_some();
  // Bytes moved so far.
  std::size_t moved() const { return moved_; }

 private:
  bool begin();

  std::span<std::byte> region_;
  std::span<std::byte> left_;  // whole large pages
  bool begun_ = false;
  std::size_t moved_ = 0;
};

}  // namespace nuri
