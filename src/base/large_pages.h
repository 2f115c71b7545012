#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace nuri {

// Memory of this process in large pages (2 MiB) where the system has them: a kernel that reads much of it once spends
// less time on finding its pages.
std::shared_ptr<std::byte> allocate_in_large_pages(std::size_t bytes);

// Moves what a private mapping of a file holds to large pages of this process, in the background, piece by piece at the
// same addresses, so that readers notice nothing but speed. Whoever writes to the region must not begin before. It ends
// early, and harmlessly, where the system has no large pages or memory is short.
class LargePages {
 public:
  explicit LargePages(std::span<std::byte> region);
  ~LargePages();  // stops within a piece
  LargePages(LargePages&&) noexcept;
  LargePages& operator=(LargePages&&) noexcept;

  // Until all is moved that will be.
  void wait();
  // Bytes moved so far.
  std::size_t moved() const;

 private:
  struct Work;
  std::unique_ptr<Work> work_;
};

}  // namespace nuri
