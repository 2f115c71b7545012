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

constexpr const char* kActivations =
    "gelu, gelu_pytorch_tanh, gelu_new, gelu_fast, quick_gelu, silu, swish, relu or tanh";

// Whether it names an activation that models here use: those of ops::activation_from_name.
inline bool is_activation(std::string_view name) {
  for (std::string_view known :
       {"gelu", "gelu_pytorch_tanh", "gelu_new", "gelu_fast", "quick_gelu", "silu", "swish", "relu", "tanh"})
    if (name == known) return true;
  return false;
}

// The name of an activation, or Error(unsupported).
inline std::string read_activation(const ConfigReader& config, std::string_view key, const std::string& fallback) {
  std::string name = config.optional(key, fallback);
  if (!is_activation(name)) config.reject(key, kActivations);
  return name;
}

}  // namespace nuri
