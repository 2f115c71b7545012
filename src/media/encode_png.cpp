#include <png.h>

#include <csetjmp>

#include "base/error.h"
#include "base/file.h"
#include "media/image.h"

namespace nuri {
namespace {

struct Writer {
  std::string out;
  std::jmp_buf escape;
};

[[noreturn]] void on_error(png_structp png, png_const_charp) {
  std::longjmp(static_cast<Writer*>(png_get_error_ptr(png))->escape, 1);
}
void on_warning(png_structp, png_const_charp) {}

void on_write(png_structp png, png_bytep bytes, size_t size) {
  auto* writer = static_cast<Writer*>(png_get_io_ptr(png));
  bool stored = true;
  try {
    writer->out.append(reinterpret_cast<const char*>(bytes), size);
  } catch (const std::bad_alloc&) {
    stored = false;  // no exception may cross libpng
  }
  if (!stored) png_error(png, "out of memory");
}

// Holds nothing that needs a destructor: libpng leaves it by longjmp.
bool write_all(Writer& writer, png_structp png, png_infop info, const Image& image) {
  if (setjmp(writer.escape) != 0) return false;
  png_set_write_fn(png, &writer, on_write, [](png_structp) {});
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  int type = image.channels == 1 ? PNG_COLOR_TYPE_GRAY : image.channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_RGBA;
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8, type,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int64_t y = 0; y < image.height; ++y) png_write_row(png, image.row(y));
  png_write_end(png, info);
  return true;
}

}  // namespace

std::string encode_png(const Image& image) {
  bool sized = image.width > 0 && image.height > 0 && image.width <= PNG_UINT_31_MAX &&
               image.height <= PNG_UINT_31_MAX && (image.channels == 1 || image.channels == 3 || image.channels == 4) &&
               image.pixels.size() == static_cast<size_t>(image.row_bytes() * image.height);
  if (!sized)
    throw Error(
        ErrorKind::internal,
        fmt::format("picture to encode: found {}x{} of {} channels with {} bytes, expected bytes for each pixel",
                    image.width, image.height, image.channels, image.pixels.size()));
  Writer writer;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer, on_error, on_warning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  bool done = info != nullptr && write_all(writer, png, info, image);
  png_destroy_write_struct(&png, &info);
  if (!done)
    throw Error(ErrorKind::resource,
                fmt::format("picture to encode: no memory for a PNG of {}x{}", image.width, image.height));
  return std::move(writer.out);
}

void write_png(const std::filesystem::path& path, const Image& image) {
  write_file_atomically(path, encode_png(image));
}

}  // namespace nuri
