#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include "base/config_reader.h"

namespace nuri {

constexpr int64_t kLargestSize = int64_t{1} << 31;
constexpr int64_t kMostLayers = 10000;
constexpr int64_t kMostExperts = 65536;

// A size of a configuration, from 1 to `largest`, or Error(unsupported).
inline int64_t read_size(const ConfigReader& config, std::string_view key, int64_t fallback,
                         int64_t largest = kLargestSize) {
  int64_t value = config.optional(key, fallback);
  if (value <= 0 || value > largest) config.reject(key, fmt::format("a size from 1 to {}", largest));
  return value;
}

}  // namespace nuri
