#pragma once

#include <cstddef>
#include <span>

#include "media/image.h"

namespace nuri {

// The orientation that a picture's metadata ask for, 1 (as stored) to 8. `exif` is a TIFF structure, perhaps
// behind "Exif\0\0"; `xmp` is asked when that has no orientation. Broken metadata count as none: they are no
// reason to refuse a picture.
int read_orientation(std::span<const std::byte> exif, std::span<const std::byte> xmp);

// The picture turned and mirrored as EXIF's orientation 1 to 8 says; any other value leaves it as it is.
Image apply_orientation(Image image, int orientation);

}  // namespace nuri
