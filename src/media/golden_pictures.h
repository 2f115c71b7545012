#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>

#include "base/config_reader.h"
#include "media/image.h"

// For tests: the pictures that tests/parity/pictures.py wrote, with what the reference makes of them.
namespace nuri {

// NURI_PICTURES names another folder: the script's full comparison runs the same tests over many more cases.
inline std::filesystem::path golden_pictures() {
  if (const char* folder = std::getenv("NURI_PICTURES")) return folder;
  return std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/pictures";
}

inline Json golden_cases() { return read_json_file(golden_pictures() / "cases.json"); }

inline uint32_t checksum(const void* data, size_t size) {
  return static_cast<uint32_t>(crc32_z(0, static_cast<const Bytef*>(data), size));
}
inline uint32_t checksum(const Image& image) { return checksum(image.pixels.data(), image.pixels.size()); }

}  // namespace nuri
