#pragma once

#include <cstdint>
#include <vector>

namespace nuri {

struct Image {
  int64_t width = 0, height = 0;
  int channels = 3;
  std::vector<uint8_t> pixels;
};

}  // namespace nuri
