#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace nuri {

// A picture of 8 bits a channel, rows from the top, channels interleaved: [height, width, channels].
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int channels = 3;  // 1 grey, 3 red green blue, 4 with alpha (not premultiplied)
  std::vector<uint8_t> pixels;

  Image() = default;
  // Every pixel zero.
  Image(int64_t image_width, int64_t image_height, int image_channels)
      : width(image_width),
        height(image_height),
        channels(image_channels),
        pixels(static_cast<size_t>(image_width * image_height * image_channels)) {}

  int64_t row_bytes() const { return width * channels; }
  uint8_t* row(int64_t y) { return pixels.data() + y * row_bytes(); }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * row_bytes(); }
  bool operator==(const Image&) const = default;
};

// What a file may ask of this machine. A picture beyond a limit is refused before its pixels are allocated.
struct ImageLimits {
  int64_t max_pixels = 100'000'000;         // the flag --max-pixels
  size_t max_file_bytes = size_t{1} << 30;  // a file, as it lies on disk
  int max_scans = 100;                      // of a progressive JPEG; encoders write ten or so
};

// Whether decoding forgets transparency (giving 3 channels) or keeps it (4 channels where the file has any).
enum class Alpha { drop, keep };

// Decodes JPEG (grey, YCbCr, RGB, CMYK, YCCK; baseline and progressive), PNG (every type; 16 bits are scaled
// to 8) and WebP (lossy, lossless; the first frame of an animation), and turns the picture upright by its
// EXIF or XMP orientation. The result equals, to the byte, Pillow's
// `ImageOps.exif_transpose(Image.open(f)).convert("RGB")` for all that Pillow decodes without clipping: alpha
// is dropped, not blended. `name` stands in messages.
// Throws Error(format) for what is no picture, broken or truncated, Error(unsupported) for other kinds of
// picture, Error(resource) beyond the limits.
Image decode_image(std::span<const std::byte> bytes, const std::string& name, const ImageLimits& limits = {},
                   Alpha alpha = Alpha::drop);
Image read_image(const std::filesystem::path& path, const ImageLimits& limits = {}, Alpha alpha = Alpha::drop);

// Grey to three equal channels; alpha dropped without blending, as Pillow's convert("RGB") does.
Image to_rgb(Image image);

// A PNG file of the picture (8 bits; grey, RGB or RGBA). Throws Error(internal) for a picture whose sizes and
// pixels disagree.
std::string encode_png(const Image& image);
// The file appears whole or not at all. Throws Error(usage) or Error(resource) when it cannot be written.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace nuri
