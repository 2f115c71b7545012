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
#include <thread>

#include "base/memory.h"

namespace nuri {
namespace {

constexpr std::size_t kPage = 2 << 20;
// Moved at a time: few enough mappings for any model, and short to wait for.
constexpr std::size_t kPiece = 16 * kPage;

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

struct LargePages::Work {
  std::span<std::byte> region;
  std::atomic<bool> stop = false;
  std::atomic<std::size_t> moved = 0;
  std::thread thread;

  void run() {
    const auto first = reinterpret_cast<std::uintptr_t>(region.data());
    const std::uintptr_t begin = aligned(first), end = (first + region.size()) / kPage * kPage;
    // No more than half of what others could want.
    if (available_memory().bytes / 2 < static_cast<int64_t>(region.size())) return;
    for (std::uintptr_t at = begin; at < end && !stop; at += kPiece) {
      const std::size_t size = std::min<std::uintptr_t>(kPiece, end - at);
      if (!move_piece(reinterpret_cast<std::byte*>(at), size)) return;
      moved += size;
    }
  }
};

LargePages::LargePages(std::span<std::byte> region) : work_(std::make_unique<Work>()) {
  work_->region = region;
  if (region.size() >= kPage && system_has_large_pages())
    work_->thread = std::thread([work = work_.get()] { work->run(); });
}

LargePages::~LargePages() {
  if (!work_) return;
  work_->stop = true;
  wait();
}

LargePages::LargePages(LargePages&&) noexcept = default;

LargePages& LargePages::operator=(LargePages&& other) noexcept {
  std::swap(work_, other.work_);
  return *this;
}

void LargePages::wait() {
  if (work_ && work_->thread.joinable()) work_->thread.join();
}

std::size_t LargePages::moved() const { return work_ ? work_->moved.load() : 0; }

}  // namespace nuri
