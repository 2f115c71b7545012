#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nuri {

// How much memory this process may still take, and what sets that limit.
struct AvailableMemory {
  int64_t bytes;
  std::string limit;  // "MemAvailable of /proc/meminfo", "the limit on address space (ulimit -v)"
};

// The smallest of what the machine has free, what the control group (v2) allows, and what is left of the limit on
// address space.
AvailableMemory available_memory();

// What is left of the limit on address space; nothing where there is no limit.
std::optional<int64_t> free_address_space();

// Throws Error(resource) when `bytes` are not available. `what` names the thing that needs them, `arithmetic` shows
// where the number comes from: "the key-value cache: needs 4.00 GiB (131072 positions x 32768 bytes), found 1.20 GiB
// available (MemAvailable of /proc/meminfo)".
void expect_memory(int64_t bytes, std::string_view what, std::string_view arithmetic);

// Gives the whole pages among these bytes of a mapped file back, none of which was written: they are read again when
// they are needed.
void forget_pages(std::span<const std::byte> bytes);

// "4.00 GiB", "17.3 MiB", "512 bytes"
std::string readable_bytes(int64_t bytes);

}  // namespace nuri
