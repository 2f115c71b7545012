#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "media/image.h"

// The decoders behind decode_image, one file each. They return the picture as stored and the orientation
// that its metadata ask for (1 to 8, as in EXIF).
namespace nuri {

using Bytes = std::span<const std::byte>;
inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

struct DecodedImage {
  Image image;
  int orientation = 1;
};

DecodedImage decode_jpeg(Bytes bytes, const std::string& name, const ImageLimits& limits);
DecodedImage decode_png(Bytes bytes, const std::string& name, const ImageLimits& limits, Alpha alpha);
DecodedImage decode_webp(Bytes bytes, const std::string& name, const ImageLimits& limits, Alpha alpha);

// Throws Error(format) for an empty picture and Error(resource) for one beyond the limits.
void check_image_size(int64_t width, int64_t height, const std::string& name, const ImageLimits& limits);

// Error(format): "NAME: found a broken KIND picture (REASON), expected a whole one".
[[noreturn]] void fail_broken_image(const std::string& name, const char* kind, const std::string& reason);

}  // namespace nuri
