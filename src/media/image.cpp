#include "media/image.h"

#include <new>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "media/codecs.h"
#include "media/orientation.h"

namespace nuri {
namespace {

enum class Format { jpeg, png, webp, other_picture, no_picture };

struct Found {
  Format format;
  std::string what;  // for the message
};

struct Signature {
  std::string_view magic;
  size_t offset;
  const char* what;
  bool picture;
};

using namespace std::string_view_literals;

constexpr Signature kSignatures[] = {
    {"GIF8"sv, 0, "a GIF picture", true},
    {"BM"sv, 0, "a BMP picture", true},
    {"II*\0"sv, 0, "a TIFF picture", true},
    {"MM\0*"sv, 0, "a TIFF picture", true},
    {"ftypavif"sv, 4, "an AVIF picture", true},
    {"ftypavis"sv, 4, "an AVIF picture", true},
    {"ftyphei"sv, 4, "a HEIC picture", true},
    {"ftypmif1"sv, 4, "a HEIF picture", true},
    {"\0\0\0\x0CJXL "sv, 0, "a JPEG XL picture", true},
    {"\xFF\x0A"sv, 0, "a JPEG XL picture", true},
    {"\0\0\0\x0CjP  "sv, 0, "a JPEG 2000 picture", true},
    {"\xFF\x4F\xFF\x51"sv, 0, "a JPEG 2000 picture", true},
    {"8BPS"sv, 0, "a Photoshop picture", true},
    {"qoif"sv, 0, "a QOI picture", true},
    {"\0\0\1\0"sv, 0, "an icon file", true},
    {"%PDF"sv, 0, "a PDF file", false},
    {"PK\3\4"sv, 0, "a ZIP archive", false},
    {"\x1F\x8B"sv, 0, "a gzip file", false},
    {"\x7F"
     "ELF"sv,
     0, "a program", false},
    {"RIFF"sv, 0, "a RIFF file that is no WebP", false},
    {"ftyp"sv, 4, "an MP4 video", false},
    {"\x1A\x45\xDF\xA3"sv, 0, "a Matroska or WebM video", false},
    {"OggS"sv, 0, "an Ogg file", false},
    {"ID3"sv, 0, "an MP3 file", false},
    {"version https://git-lfs"sv, 0, "a Git LFS pointer", false},
};

// No control characters and no byte that UTF-8 never has.
bool is_text(std::string_view head) {
  return std::none_of(head.begin(), head.end(), [](char c) {
    auto byte = static_cast<uint8_t>(c);
    bool space = c == '\n' || c == '\r' || c == '\t' || c == '\f';
    return (byte < 0x20 && !space) || byte == 0xC0 || byte == 0xC1 || byte >= 0xF5;
  });
}

Found identify(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF"sv)) return {Format::jpeg, ""};
  if (bytes.starts_with("\x89PNG\r\n\x1A\n"sv)) return {Format::png, ""};
  if (bytes.starts_with("RIFF"sv) && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP"sv) return {Format::webp, ""};
  if (bytes.empty()) return {Format::no_picture, "an empty file"};
  for (const auto& known : kSignatures)
    if (bytes.size() >= known.offset && bytes.substr(known.offset).starts_with(known.magic))
      return {known.picture ? Format::other_picture : Format::no_picture, known.what};
  std::string_view head = bytes.substr(0, 512);
  if (is_text(head)) {
    if (head.find("<svg"sv) != head.npos) return {Format::other_picture, "an SVG drawing"};
    if (head.find("<html"sv) != head.npos || head.find("<!DOCTYPE html"sv) != head.npos)
      return {Format::no_picture, "an HTML page"};
    return {Format::no_picture, "text"};
  }
  std::string start;
  for (char c : bytes.substr(0, 8)) start += fmt::format("{}{:02x}", start.empty() ? "" : " ", static_cast<uint8_t>(c));
  return {Format::no_picture, fmt::format("bytes that begin with {}", start)};
}

DecodedImage decode_stored(Bytes bytes, const std::string& name, const ImageLimits& limits, Alpha alpha) {
  Found found = identify({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  switch (found.format) {
    case Format::jpeg:
      return decode_jpeg(bytes, name, limits);
    case Format::png:
      return decode_png(bytes, name, limits, alpha);
    case Format::webp:
      return decode_webp(bytes, name, limits, alpha);
    case Format::other_picture:
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: found {}, expected a JPEG, PNG or WebP picture", name, found.what));
    default:
      throw Error(ErrorKind::format,
                  fmt::format("{}: found {}, expected a JPEG, PNG or WebP picture", name, found.what));
  }
}

}  // namespace

void check_image_size(int64_t width, int64_t height, const std::string& name, const ImageLimits& limits) {
  if (width <= 0 || height <= 0)
    throw Error(ErrorKind::format, fmt::format("{}: found a picture of {}x{}, expected pixels", name, width, height));
  if (width > limits.max_pixels / height)
    throw Error(ErrorKind::resource,
                fmt::format("{}: found a picture of {}x{} ({:.1f} megapixels), expected at most {:g} megapixels "
                            "(--max-pixels raises this)",
                            name, width, height, static_cast<double>(width) * static_cast<double>(height) / 1e6,
                            static_cast<double>(limits.max_pixels) / 1e6));
}

void fail_broken_image(const std::string& name, const char* kind, const std::string& reason) {
  throw Error(ErrorKind::format, fmt::format("{}: found a broken {} picture ({}), expected a whole one", name, kind,
                                             reason.empty() ? "no reason known" : reason));
}

Image decode_image(std::span<const std::byte> bytes, const std::string& name, const ImageLimits& limits, Alpha alpha) {
  try {
    DecodedImage decoded = decode_stored(bytes, name, limits, alpha);
    return apply_orientation(std::move(decoded.image), decoded.orientation);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::resource, fmt::format("{}: no memory to decode this picture", name));
  }
}

Image read_image(const std::filesystem::path& path, const ImageLimits& limits, Alpha alpha) {
  std::string contents = read_file(path, limits.max_file_bytes);
  return decode_image(std::as_bytes(std::span(contents)), path.string(), limits, alpha);
}

Image to_rgb(Image image) {
  if (image.channels == 3) return image;
  Image rgb(image.width, image.height, 3);
  const uint8_t* from = image.pixels.data();
  int second = image.channels == 1 ? 0 : 1, third = image.channels == 1 ? 0 : 2;
  for (size_t i = 0; i < rgb.pixels.size(); i += 3, from += image.channels) {
    rgb.pixels[i] = from[0];
    rgb.pixels[i + 1] = from[second];
    rgb.pixels[i + 2] = from[third];
  }
  return rgb;
}

}  // namespace nuri
