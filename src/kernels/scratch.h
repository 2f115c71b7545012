#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace nuri::kernels {

// Memory at a cache line's beginning that is kept from call to call.
class Scratch {
 public:
  std::byte* of(int64_t bytes) {
    if (bytes > held_) {
      held_ = 0;
      memory_.reset();
      memory_.reset(static_cast<std::byte*>(::operator new(static_cast<std::size_t>(bytes), kLine)));
      held_ = bytes;
    }
    return memory_.get();
  }

 private:
  static constexpr std::align_val_t kLine{64};
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, kLine); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  int64_t held_ = 0;
};

}  // namespace nuri::kernels
