#include "base/large_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <string>
#include <utility>

#include "base/memory.h"
#include "base/parallel.h"

namespace nuri {
namespace {

constexpr std::size_t kPage = 2 << 20;
// Moved at a time: few enough mappings for any model, and short to wait for.
constexpr std::size_t kPiece = 8 * kPage, kAtOnce = 2;

std::uintptr_t aligned(std::uintptr_t address) { return (address + kPage - 1) / kPage * kPage; }

// What may be asked for: "always [madvise] never".
bool system_has_large_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string modes;
  return std::getline(file, modes) && modes.find("[never]") == std::string::npos;
}

// A piece of the region gives way to a copy of itself. False where that cannot be.
bool move_piece(std::byte* piece, std::size_t size) {
  const std::size_t room = size + kPage;
  void* const found = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (found == MAP_FAILED) return false;
  auto* const copy = reinterpret_cast<std::byte*>(aligned(reinterpret_cast<std::uintptr_t>(found)));
  ::madvise(copy, size, MADV_HUGEPAGE);
  std::memcpy(copy, piece, size);
  const bool moved = ::mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, piece) != MAP_FAILED;
  auto* const begin = static_cast<std::byte*>(found);
  const auto before = static_cast<std::size_t>(copy - begin);
  if (before > 0) ::munmap(begin, before);
  if (!moved) ::munmap(copy, size);
  if (room > before + size) ::munmap(copy + size, room - before - size);
  return moved;
}

}  // namespace

std::shared_ptr<std::byte> allocate_in_large_pages(std::size_t bytes) {
  const std::size_t alignment = bytes < kPage ? 64 : kPage, size = (bytes + alignment - 1) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, size > 0 ? size : alignment);
  if (memory == nullptr) throw std::bad_alloc();
  if (bytes >= kPage) ::madvise(memory, bytes / kPage * kPage, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(memory), [](std::byte* held) { std::free(held); }};
}

bool LargePages::begin() {
  const auto first = reinterpret_cast<std::uintptr_t>(region_.data());
  const std::uintptr_t begin = aligned(first), end = (first + region_.size()) / kPage * kPage;
  // No more than half of what others could want.
  const bool wanted =
      begin < end && system_has_large_pages() && available_memory().bytes / 2 >= static_cast<int64_t>(region_.size());
  if (wanted) left_ = region_.subspan(begin - first, end - begin);
  return wanted;
}

bool LargePages::move_some() {
  if (!std::exchange(begun_, true) && !begin()) return false;
  const std::span<std::byte> now = left_.first(std::min(kAtOnce * kPiece, left_.size()));
  const auto pieces = static_cast<int64_t>((now.size() + kPiece - 1) / kPiece);
  std::atomic<bool> failed = false;
  parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
    for (auto at = static_cast<std::size_t>(begin); at < static_cast<std::size_t>(end); ++at) {
      const std::size_t size = std::min(kPiece, now.size() - at * kPiece);
      if (!move_piece(now.data() + at * kPiece, size)) failed = true;
    }
  });
  if (!failed) moved_ += now.size();
  left_ = failed ? std::span<std::byte>() : left_.subspan(now.size());
  return !left_.empty();
}

}  // namespace nuri
