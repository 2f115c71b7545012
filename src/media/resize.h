#pragma once

#include <cstdint>
#include <optional>

#include "media/image.h"

namespace nuri {

// The filters of Pillow, by the numbers that processor files write.
enum class Resample { nearest = 0, lanczos = 1, bilinear = 2, bicubic = 3, box = 4, hamming = 5 };

// Whose last bits a filtered picture has: those of Pillow's Image.resize, or those of torchvision's resize of bytes on
// a CPU (libtorch's upsample_*2d_aa), whose weights have 16 bits. Both know bilinear and bicubic filters.
enum class ResizeStyle { pillow, torchvision };

// A rectangle of pixels.
struct Rect {
  int64_t left = 0, top = 0, width = 0, height = 0;
  bool operator==(const Rect&) const = default;
};

// The picture resampled to `width` x `height`, equal to the byte to Pillow's Image.resize for modes L, RGB and
// RGBA: two passes, each with an antialiasing filter in 22-bit fixed point and rounded to 8 bits
// (libImaging/Resample.c of Pillow 13). With `part`, only that part of the result is computed and returned.
// Throws Error(usage) for an empty size or a part outside it, Error(resource) for a size that no memory holds.
Image resize(const Image& image, int64_t width, int64_t height, Resample filter,
             const std::optional<Rect>& part = std::nullopt, ResizeStyle style = ResizeStyle::pillow);

}  // namespace nuri
