#include <png.h>
#include <zlib.h>

#include <csetjmp>
#include <cstring>
#include <new>
#include <optional>

#include "base/error.h"
#include "media/codecs.h"
#include "media/orientation.h"

namespace nuri {
namespace {

constexpr size_t kSignatureSize = 8;
constexpr size_t kMaxMetadata = size_t{1} << 20;  // decompressed; real orientation data are far smaller
constexpr int kMaxTexts = 4;                      // of those that may hold an orientation

// ---- metadata: our own walk over the chunks, for they may stand behind the picture

uint32_t big_endian_32(std::string_view at) {
  auto byte = [&](int i) { return static_cast<uint32_t>(static_cast<uint8_t>(at[i])); };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

// At most kMaxMetadata bytes of a zlib stream; nothing when it is broken or larger.
std::optional<std::string> inflate_bounded(std::string_view packed) {
  std::string out(kMaxMetadata, '\0');
  uLongf size = out.size();
  if (uncompress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(packed.data()),
                 packed.size()) != Z_OK)
    return {};
  out.resize(size);
  return out;
}

// Splits `text` behind its first NUL: returns what stands before it.
std::string_view take_string(std::string_view& text) {
  size_t end = std::min(text.find('\0'), text.size());
  std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

// The value of a tEXt, zTXt or iTXt chunk (PNG specification, 11.3.3).
std::optional<std::string> text_value(std::string_view type, std::string_view chunk) {
  take_string(chunk);  // keyword
  if (type == "tEXt") return std::string(chunk);
  if (type == "zTXt") {
    if (chunk.empty() || chunk[0] != 0) return {};
    return inflate_bounded(chunk.substr(1));
  }
  if (chunk.size() < 2) return {};
  bool compressed = chunk[0] != 0;
  chunk.remove_prefix(2);
  take_string(chunk);  // language
  take_string(chunk);  // translated keyword
  return compressed ? inflate_bounded(chunk) : std::string(chunk);
}

// What ImageMagick writes: "\nexif\n    1234\n" and the bytes in hexadecimal.
std::string unhex_raw_profile(std::string_view text) {
  for (int line = 0; line < 3; ++line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  std::string bytes;
  int high = -1;
  for (char c : text) {
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) continue;
    if (high >= 0) bytes.push_back(static_cast<char>(high << 4 | digit));
    high = high < 0 ? digit : -1;
  }
  return bytes;
}

int png_orientation(Bytes file) {
  std::string exif, raw_profile, xmp;
  int texts = 0;
  std::string_view rest = as_text(file).substr(kSignatureSize);
  while (rest.size() >= 12) {
    size_t length = big_endian_32(rest);
    if (length > rest.size() - 12) break;
    std::string_view type = rest.substr(4, 4), chunk = rest.substr(8, length);
    rest.remove_prefix(length + 12);
    if (type == "IEND") break;
    if (type == "eXIf" && length <= kMaxMetadata) exif = chunk;
    if (type != "tEXt" && type != "zTXt" && type != "iTXt") continue;
    bool profile = chunk.starts_with(std::string_view("Raw profile type exif\0", 22));
    bool packet = chunk.starts_with(std::string_view("XML:com.adobe.xmp\0", 18));
    if ((!profile && !packet) || ++texts > kMaxTexts) continue;
    auto value = text_value(type, chunk);
    if (value && profile) raw_profile = unhex_raw_profile(*value);
    if (value && packet) xmp = *std::move(value);
  }
  const std::string& chosen = exif.empty() ? raw_profile : exif;
  return read_orientation(std::as_bytes(std::span(chosen)), std::as_bytes(std::span(xmp)));
}

// ---- pixels

// libpng with its errors as return values; the methods that call setjmp hold nothing that needs a destructor.
class PngReader {
 public:
  explicit PngReader(Bytes bytes) : bytes_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, &info_, nullptr);
      throw std::bad_alloc();
    }
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool read_header(bool keep_alpha) {
    return attempt([&] {
      png_set_read_fn(png_, this, on_read);
      // Sizes are judged by check_image_size; chunks that no pixel depends on are not even inflated.
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
      png_set_chunk_malloc_max(png_, kMaxMetadata);
      static const png_byte ignored[] =
          "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0sTER\0tEXt\0tIME\0zTXt\0"
          "tRNS";
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, ignored, keep_alpha ? 18 : 19);
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
      png_read_info(png_, info_);
    });
  }

  int64_t width() const { return png_get_image_width(png_, info_); }
  int64_t height() const { return png_get_image_height(png_, info_); }

  // Sets the conversion to 8 bits and RGB, or RGBA where the file has transparency and it is wanted.
  bool start(bool keep_alpha) {
    return attempt([&] {
      int type = png_get_color_type(png_, info_);
      if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
      if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
      if (keep_alpha && png_get_valid(png_, info_, PNG_INFO_tRNS) != 0) png_set_tRNS_to_alpha(png_);
      png_set_strip_16(png_);
      if (!(type & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png_);
      if (!keep_alpha) png_set_strip_alpha(png_);
      passes_ = png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
    });
  }

  int channels() const { return png_get_channels(png_, info_); }
  size_t row_bytes() const { return png_get_rowbytes(png_, info_); }

  bool read_pixels(Image& image) {
    uint8_t* pixels = image.pixels.data();
    int64_t stride = image.row_bytes(), height = image.height;
    return attempt([&] {
      for (int pass = 0; pass < passes_; ++pass)
        for (int64_t y = 0; y < height; ++y) png_read_row(png_, pixels + y * stride, nullptr);
      png_read_end(png_, nullptr);
    });
  }

  std::string reason() const { return end_seen_ ? "the file ends early" : message_; }
  bool out_of_memory() const { return std::strcmp(message_, "Out of memory") == 0; }

 private:
  template <class Body>
  bool attempt(Body body) {
    if (setjmp(escape_) != 0) return false;
    body();
    return true;
  }

  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto& reader = *static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(reader.message_, message, sizeof(reader.message_) - 1);
    std::longjmp(reader.escape_, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}

  static void on_read(png_structp png, png_bytep out, size_t size) {
    auto& reader = *static_cast<PngReader*>(png_get_io_ptr(png));
    if (size > reader.bytes_.size()) {
      reader.end_seen_ = true;
      png_error(png, "the file ends early");
    }
    std::memcpy(out, reader.bytes_.data(), size);
    reader.bytes_ = reader.bytes_.subspan(size);
  }

  Bytes bytes_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf escape_;
  char message_[160] = "";
  int passes_ = 1;
  bool end_seen_ = false;
};

}  // namespace

DecodedImage decode_png(Bytes bytes, const std::string& name, const ImageLimits& limits, Alpha alpha) {
  PngReader reader(bytes);
  auto check = [&](bool done) {
    if (done) return;
    if (reader.out_of_memory()) throw std::bad_alloc();
    fail_broken_image(name, "PNG", reader.reason());
  };
  bool keep_alpha = alpha == Alpha::keep;
  check(reader.read_header(keep_alpha));
  check_image_size(reader.width(), reader.height(), name, limits);
  check(reader.start(keep_alpha));
  DecodedImage decoded;
  decoded.image = Image(reader.width(), reader.height(), reader.channels());
  if (reader.row_bytes() != static_cast<size_t>(decoded.image.row_bytes()))
    throw Error(ErrorKind::internal, fmt::format("{}: libpng gives rows of {} bytes, expected {}", name,
                                                 reader.row_bytes(), decoded.image.row_bytes()));
  check(reader.read_pixels(decoded.image));
  decoded.orientation = png_orientation(bytes);
  return decoded;
}

}  // namespace nuri
