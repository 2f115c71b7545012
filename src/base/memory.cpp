#include "base/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>

#include "base/error.h"

namespace nuri {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// "MemAvailable:   1234 kB"
std::optional<int64_t> free_on_machine() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  int64_t kibibytes;
  while (file >> key >> kibibytes) {
    std::getline(file, unit);
    if (key == "MemAvailable:") return kibibytes * 1024;
  }
  return {};
}

std::optional<int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  int64_t value;
  if (file >> value) return value;
  return {};  // missing, or "max"
}

// Of the process's own group and those around it, up to the root.
std::optional<int64_t> free_in_control_group() {
  std::ifstream file("/proc/self/cgroup");
  std::string line, group;
  while (std::getline(file, line))
    if (line.rfind("0::", 0) == 0) group = line.substr(3);
  std::optional<int64_t> least;
  while (true) {
    std::string folder = "/sys/fs/cgroup" + group;
    auto limit = number_in(folder + "/memory.max"), used = number_in(folder + "/memory.current");
    if (limit && used) least = std::min(least.value_or(kUnlimited), std::max<int64_t>(*limit - *used, 0));
    auto slash = group.rfind('/');
    if (group.empty() || slash == std::string::npos) return least;
    group.resize(slash);
  }
}

}  // namespace

std::optional<int64_t> free_address_space() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return {};
  auto pages = number_in("/proc/self/statm");  // the first number: all mapped pages
  return std::max<int64_t>(static_cast<int64_t>(limit.rlim_cur) - pages.value_or(0) * sysconf(_SC_PAGESIZE), 0);
}

AvailableMemory available_memory() {
  AvailableMemory least{kUnlimited, "no limit is known"};
  auto consider = [&](std::optional<int64_t> bytes, const char* limit) {
    if (bytes && *bytes < least.bytes) least = {*bytes, limit};
  };
  consider(free_on_machine(), "MemAvailable of /proc/meminfo");
  consider(free_in_control_group(), "the control group's memory.max");
  consider(free_address_space(), "the limit on address space (ulimit -v)");
  return least;
}

void expect_memory(int64_t bytes, std::string_view what, std::string_view arithmetic) {
  AvailableMemory available = available_memory();
  if (bytes <= available.bytes) return;
  throw Error(ErrorKind::resource,
              fmt::format("{}: needs {} ({}), found {} available ({})", what, readable_bytes(bytes), arithmetic,
                          readable_bytes(available.bytes), available.limit));
}

void forget_pages(std::span<const std::byte> bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(bytes.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size()) / page * page;
  // Advice: where it is not taken, the pages stay.
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::string readable_bytes(int64_t bytes) {
  double size = static_cast<double>(bytes);
  if (bytes >= int64_t{1} << 30) return fmt::format("{:.2f} GiB", size / (1 << 30));
  if (bytes >= 1 << 20) return fmt::format("{:.1f} MiB", size / (1 << 20));
  return fmt::format("{} bytes", bytes);
}

}  // namespace nuri
